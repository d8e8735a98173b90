"""The storm: processes that send to and hear from each other through a broker, and everything that can break."""
