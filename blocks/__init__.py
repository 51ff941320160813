"""The doors: whatever knows an address, a credential or a wire protocol."""
