"""Options of `fercache audit`."""

from fercache.options import Options, device_option, encoder_option, option


class AuditRequest(Options):
    """Which datasets to audit together; of one with a split (`ferplus@test`), only that split."""

    datasets: tuple[str, ...] = option(..., "Extracted datasets, NAME[@SPLIT].", argument=True)
    encoder: str | None = encoder_option()
    name: str | None = option(None, "Folder in reports/. [default: audit-DATASETS]")
    device: str = device_option()
