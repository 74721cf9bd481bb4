"""Points, levels, badges, missions, benefits and coupons: exactly once, by unique keys."""
