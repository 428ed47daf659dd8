"""What one pair leaves for the backward pass, counted on torch's meta device: shapes without memory or arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from openalign.model.align import Align
from openalign.model.scales import PAPER_PIECES, PAPER_VOCABULARY, image_multiply_adds, parameters, text_multiply_adds
from openalign.training.recipe.recipe import Recipe


@dataclass(frozen=True)
class Activations:
    """Bytes that one pair leaves for the backward pass."""

    kept: float
    """All of them."""
    inputs: float
    """Of the blocks' inputs only: what recomputation keeps."""
    largest_block: float
    """Of the block that recomputation fills again, at most."""
    largest_tensor: float

    def bytes_a_pair(self, recompute: bool) -> float:
        """Activations, and three of the largest tensor for gradients in flight and a convolution's workspace."""
        held = self.inputs + self.largest_block if recompute else self.kept
        return held + 3 * self.largest_tensor


@dataclass(frozen=True)
class Model:
    parameters: int
    width: int
    multiply_adds: int
    activations: Activations


def counted(recipe: Recipe) -> Model:
    """Everything that follows from the shapes alone."""
    group = recipe.batch_norm_group or 16
    with torch.device("meta"):
        model = Align(recipe.model(PAPER_VOCABULARY)).to(torch.bfloat16).train()
        pixels = torch.empty(group, 3, recipe.image_size, recipe.image_size, dtype=torch.bfloat16)
        hidden = torch.empty(group, PAPER_PIECES, model.settings.text_tower.width, dtype=torch.bfloat16)
        ids = torch.empty(group, PAPER_PIECES, dtype=torch.long)
        image_kept, _ = saved(lambda: model.vision_model(pixels), model)
        text_kept, _ = saved(lambda: model.text_model(input_ids=ids).last_hidden_state, model)
        stem, pixels = saved(lambda: model.vision_model.embeddings(pixels), model)
        image = block_by_block(list(model.vision_model.encoder.blocks), pixels, model)
        text = block_by_block(list(model.text_model.encoder.layer), hidden, model)
    activations = Activations(
        kept=(image_kept + text_kept) / group,
        inputs=(stem + image.inputs + text.inputs) / group,
        largest_block=max(image.largest_block, text.largest_block) / group,
        largest_tensor=max(image.largest_tensor, text.largest_tensor) / group,
    )
    multiply_adds = image_multiply_adds(model.vision_model, recipe.image_size)
    multiply_adds += text_multiply_adds(model.text_model, PAPER_PIECES)
    return Model(parameters(model), model.width, multiply_adds, activations)


def saved(call: Callable[[], Tensor], model: nn.Module) -> tuple[int, Tensor]:
    """Bytes that autograd keeps of a forward pass, weights not counted and shared memory counted once; its output."""
    weights = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            storages[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = call()
    return sum(storage.nbytes() for storage in storages.values()), output


def block_by_block(blocks: list[nn.Module], x: Tensor, model: nn.Module) -> Activations:
    """What each block keeps when only its input is given, over a whole group of pairs."""
    kept: list[int] = []
    inputs: list[int] = []
    tensors: list[int] = []
    for block in blocks:
        given = x.detach().requires_grad_()
        inputs.append(given.nbytes)
        handles = [
            module.register_forward_hook(lambda _module, _given, output: tensors.append(nbytes(output)))
            for module in block.modules()
        ]
        bytes_kept, x = saved(lambda block=block, given=given: first(block(given)), model)
        kept.append(bytes_kept)
        for handle in handles:
            handle.remove()
    return Activations(sum(kept), sum(inputs), max(kept), max(tensors))


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def nbytes(output: Tensor | tuple[Tensor, ...]) -> int:
    return first(output).nbytes
