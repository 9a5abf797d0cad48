"""The machine and the process: devices, precisions, versions, progress bars."""
