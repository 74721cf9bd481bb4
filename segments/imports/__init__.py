"""Files of people, orders and events, streamed in at constant memory and resumable after a kill."""
