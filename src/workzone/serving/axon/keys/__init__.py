"""The hotkey and the public coldkey, from a wallet, a file or Vault."""
