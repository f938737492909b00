"""What is compared: the reference and the device, given the same."""
