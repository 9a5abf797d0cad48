"""Every CLIP that open_clip knows: `ViT-B-32/openai`, `ViT-B-32` with a file, `local-dir:PATH`, `hf-hub:NAME`."""

from fercache.encoders.open_clip.checkpoints import SCHEMES, load, not_here
from fercache.encoders.open_clip.clip_encoder import ClipEncoder
from fercache.options.extract import EncoderRequest


class OpenClip(ClipEncoder):
    """The family of all names that open_clip knows."""

    @classmethod
    def knows(cls, name: str) -> bool:
        """Whether `name` is an open_clip architecture, with or without a tag, or begins with a scheme."""
        import open_clip

        return name.startswith(SCHEMES) or name.partition("/")[0] in open_clip.list_models()

    @classmethod
    def load(cls, request: EncoderRequest) -> "OpenClip":
        """See `Encoder.load`."""
        return cls(load(request.name, request.weights, request.preprocessing), request)

    @classmethod
    def licence(cls, request: EncoderRequest) -> str:
        """See `Encoder.licence`: OpenAI publishes CLIP under MIT; of others, open_clip does not say it."""
        return "MIT (OpenAI)" if request.name.endswith("/openai") and not request.weights else ""

    @classmethod
    def unfetched(cls, request: EncoderRequest) -> str:
        """See `Encoder.unfetched`."""
        return "" if request.weights else not_here(request.name)


plugin = OpenClip
