"""The ground every other room stands on: registries, time, chance, money and operational tables."""
