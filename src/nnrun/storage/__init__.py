"""What every write to disk goes through: system calls, files and folders that survive a crash, locks."""
