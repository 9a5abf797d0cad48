"""Facial expression recognition on unseen domains from precomputed CLIP features.

    import fercache

    settings = fercache.load_settings()
    fercache.extract(settings, fercache.ExtractRequest(dataset="folder:mine", root=Path("faces")))
    fercache.train(settings, fercache.TrainRequest(source="synthetic:studio"))
    fercache.evaluate(settings, fercache.EvaluateRequest(targets=("folder:mine",)))
    page, records = fercache.compare(settings)

Names are imported when first used: `import fercache` itself does not load torch.
"""

import importlib
from typing import Any

HOME = {
    "load_settings": "settings",
    "Settings": "settings",
    "use_plugins": "plugins",
    "extract": "stages.extract",
    "ExtractRequest": "options.extract",
    "train": "stages.train",
    "TrainRequest": "options.train",
    "evaluate": "stages.evaluate",
    "EvaluateRequest": "options.evaluate",
    "estimate": "stages.estimate",
    "EstimateRequest": "options.estimate",
    "compare": "stages.compare",
    "CompareRequest": "options.compare",
    "import_predictions": "stages.import_predictions",
    "ImportRequest": "options.import_predictions",
    "audit": "stages.audit",
    "AuditRequest": "options.audit",
    "suggest": "stages.suggest",
    "SuggestRequest": "options.suggest",
    "predict": "predicting.predict",
    "PredictRequest": "options.predict",
    "export": "onnx_files.export",
    "ExportRequest": "options.export",
    "load_predictor": "predicting.predictor",
    "Predictor": "predicting.predictor",
    "to_frame": "predicting.results",
    "demo": "experiments.shipped",
    "load_experiment": "experiments.config",
    "run": "experiments.run",
    "RunRequest": "experiments.run",
    "EncoderRequest": "options.extract",
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
