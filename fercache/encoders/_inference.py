"""The same network laid out for inference: attention in a few large products, weights in the compute precision.

For the gain see docs/scale.md.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Product = Callable[[nn.Linear], nn.Module]


class _Product(nn.Module):
    """A linear layer in another layout. Code that reads its weight, to multiply elsewhere, gets the original's."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.dtype = dtype
        self._bias = None if layer.bias is None else layer.bias.detach().to(dtype)


class PackedProduct(_Product):
    """Weights in the layout of the processor's matrix kernels, so that no call has to rearrange them."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(layer, dtype)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().to(dtype))

    def forward(self, rows: Tensor) -> Tensor:
        """(..., I) of any precision -> (..., O)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows.to(self.dtype), self._packed, self._bias, "none", [], ""
        )
        return product


class PlainProduct(_Product):
    """Weights in the compute precision."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(layer, dtype)
        self._weight = layer.weight.detach().to(dtype)

    def forward(self, rows: Tensor) -> Tensor:
        """(..., I) of any precision -> (..., O)."""
        return F.linear(rows.to(self.dtype), self._weight, self._bias)


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` of one sequence, batch first, with one product for queries, keys and values.

    PyTorch's own, in bf16 on a processor, multiplies position by position and copies the weights each time: that took
    two thirds of the time. Other calls are passed to the original.
    """

    def __init__(self, original: nn.MultiheadAttention, product: Product) -> None:
        super().__init__()
        self.original, self.heads = original, original.num_heads
        joined = nn.Linear(original.embed_dim, 3 * original.embed_dim, device="meta")
        joined.weight, joined.bias = original.in_proj_weight, original.in_proj_bias
        self.joined, self.out = product(joined), product(original.out_proj)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = True, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, L, D), the same three times -> (B, L, D)."""
        if need_weights or attn_mask is not None or key is not query or value is not query:
            answer: tuple[Tensor, Tensor | None] = self.original(
                query, key, value, need_weights=need_weights, attn_mask=attn_mask
            )
            return answer
        batch, length, width = query.shape
        parts = self.joined(query).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width)), None


def laid_out(network: nn.Module, dtype: torch.dtype, device: str) -> nn.Module:
    """A copy of `network` for inference on `device`, its products in `dtype`; other weights are shared with it.

    Features differ by rounding.
    """

    def product(layer: nn.Linear) -> nn.Module:
        return PackedProduct(layer, dtype) if device == "cpu" and can_pack() else PlainProduct(layer, dtype)

    return _replaced(deepcopy(network, {id(part): part for part in network.parameters()}), product)


def can_pack() -> bool:
    """Whether this PyTorch has the kernels for `PackedProduct`."""
    there = torch.backends.mkldnn.is_available()
    return there and all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))


def _replaced(module: nn.Module, product: Product) -> nn.Module:
    if type(module) is nn.Linear:
        return product(module)
    if type(module) is nn.MultiheadAttention:
        return SelfAttention(module, product) if _is_plain(module) else module
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, product))
    return module


def _is_plain(attention: nn.MultiheadAttention) -> bool:
    """Whether it is batch first, with queries, keys and values of one width and nothing added to them."""
    joined = attention.in_proj_weight is not None and attention.batch_first
    return joined and attention.bias_k is None and not attention.add_zero_attn
