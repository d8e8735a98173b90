"""What is promised, under fault: killed processes, broken links, full brokers, hostile messages, on every pair."""
