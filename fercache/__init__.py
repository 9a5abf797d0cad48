"""Facial expression recognition on unseen domains from precomputed CLIP features.

    import fercache

    settings = fercache.load_settings()
    fercache.extract(settings, fercache.ExtractRequest("folder:mine", root=Path("faces")))
    fercache.train(settings, fercache.TrainRequest(source="synthetic:studio"))
    fercache.evaluate(settings, fercache.EvaluateRequest(targets=("folder:mine",)))
    page, records = fercache.compare(settings)

Names load what they need when they are first used: `import fercache` itself loads no torch.
"""

import importlib
from typing import Any

HOME = {
    "load_settings": "settings",
    "Settings": "settings",
    "use_plugins": "plugins",
    "extract": "stages.extract",
    "ExtractRequest": "stages.extract",
    "train": "stages.train",
    "TrainRequest": "loading.sources",
    "evaluate": "stages.evaluate",
    "EvaluateRequest": "stages.evaluate",
    "compare": "stages.compare",
    "CompareRequest": "stages.compare",
    "import_predictions": "stages.import_predictions",
    "ImportRequest": "stages.import_predictions",
    "audit": "stages.audit",
    "AuditRequest": "stages.audit",
    "predict": "stages.predict",
    "PredictRequest": "stages.predict",
    "demo": "experiments.demo",
    "load_experiment": "experiments.config",
    "run": "experiments.run",
    "RunRequest": "experiments.run",
    "EncoderRequest": "encoders",
    "read_table": "store.tables",
    "FercacheError": "errors",
    "UsageError": "errors",
}
"""Public name -> the module that has it."""

__all__ = sorted(HOME)


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module 'fercache' has no attribute '{name}'")
    return getattr(importlib.import_module(f"fercache.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
