"""ALIGN's dual encoder: EfficientNet and BERT towers into one space of unit vectors (paper section 4)."""

import math
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from openalign.data.tokenizer.wordpiece import MOST_ENTRIES
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.efficientnet.tower import EfficientNet
from openalign.model.limits import MOST_LAYERS, MOST_PIECES, MOST_SIDE, MOST_WIDTH
from openalign.settings import Settings


class TextTowerSettings(Settings):
    """Shape of a BERT. The defaults are BERT-Base; `openalign scales` lists the other named sizes."""

    width: int = Field(default=768, ge=1, le=MOST_WIDTH)
    """Width of the embeddings and of all layers; a multiple of `heads`."""
    layers: int = Field(default=12, ge=1, le=MOST_LAYERS)
    """Number of layers."""
    heads: int = Field(default=12, ge=1, le=MOST_WIDTH)
    """Attention heads of a layer."""
    inner_width: int = Field(default=3072, ge=1, le=MOST_WIDTH)
    """Width of the feed-forward layers."""
    dropout: float = Field(default=0.1, ge=0, lt=1, allow_inf_nan=False)
    """Dropout of embeddings, attention and feed-forward outputs, as published for BERT."""
    max_pieces: int = Field(default=64, ge=3, le=MOST_PIECES)
    """Word pieces of a text, [CLS] and [SEP] included (paper section 5); longer texts are truncated."""


class AlignSettings(Settings):
    """Everything that defines the model, except its weights."""

    image_tower: ImageTowerSettings = ImageTowerSettings()
    text_tower: TextTowerSettings = TextTowerSettings()
    vocabulary: int = Field(ge=1, le=MOST_ENTRIES)
    """Entries of the tokenizer (100,000 in the paper)."""
    image_size: int = Field(default=289, ge=1, le=MOST_SIDE)
    """Side of the square crop that the image tower sees, in pixels (paper section 5)."""
    resize_size: int = Field(default=346, ge=1, le=MOST_SIDE)
    """Side of the square that an image is resized to before the crop, in pixels."""
    initial_temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    embedding_width: int | None = Field(default=None, ge=1, le=MOST_WIDTH)
    """Width D of the shared space. Default: the image tower's, as in the paper's main model. Another width adds a
    linear layer to the image tower (640, 320, 160 and 80 in paper tables 8 to 10)."""

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> Self:
        self.image_tower.check()
        width, heads = self.text_tower.width, self.text_tower.heads
        if width % heads:
            raise ValueError(f"`width` = {width} of the text tower cannot be shared evenly by `heads` = {heads}")
        if self.image_size > self.resize_size:
            raise ValueError(f"`image_size` = {self.image_size} is larger than `resize_size` = {self.resize_size}")
        return self

    @property
    def width(self) -> int:
        """Width D of the shared space."""
        return self.embedding_width or self.image_tower.width


class Align(nn.Module):
    """Two towers and one temperature. [CLS] of the text tower is projected to the shared width, and so are the pooled
    image features if their width differs.

    The temperature is learned as its logarithm. The paper learns it directly, in 1.2 M small steps; in a run of a few
    thousand larger steps it would become negative, whereas steps in the logarithm are relative.
    """

    def __init__(self, settings: AlignSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vision_model = EfficientNet(settings.image_tower)
        self.text_model = BertModel(bert_config(settings), add_pooling_layer=False)
        self.text_projection = _projection(settings.text_tower.width, settings.width)
        narrowed = settings.width != settings.image_tower.width
        self.image_projection = _projection(settings.image_tower.width, settings.width) if narrowed else None
        self.log_temperature = nn.Parameter(torch.tensor(math.log(settings.initial_temperature)))

    @property
    def width(self) -> int:
        """Width D of the shared embedding."""
        return self.settings.width

    @property
    def temperature(self) -> Tensor:
        """The divisor of cosines: a scalar, differentiable."""
        return self.log_temperature.exp()

    def recompute_activations(self) -> None:
        """Enable gradient checkpointing in both towers."""
        self.vision_model.encoder.recompute = True
        self.text_model.config.use_cache = False  # for decoders; transformers warns about it with checkpointing
        text: Any = self.text_model
        # Newer releases of transformers rename it and warn about the old name.
        enable = getattr(text, "activation_checkpointing_enable", None) or text.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def compile_towers(self) -> None:
        """Compile each tower with torch.compile; separately, so that longer texts do not recompile the image tower."""
        self.vision_model.compile()
        self.text_model.compile()

    def forward(self, images_BHWC: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings of B pairs, each (B, D). Training calls this, so that module wrappers see a single call."""
        return self.embed_images(images_BHWC), self.embed_texts(ids_BT, mask_BT)

    def embed_images(self, images_BHWC: Tensor) -> Tensor:
        """uint8 pixels of shape (B, H, W, 3) -> unit rows of shape (B, D)."""
        # (B, H, W, 3) viewed as (B, 3, H, W) is PyTorch's channels_last layout: fast, and no copy.
        pixels_BCHW = images_BHWC.permute(0, 3, 1, 2).to(self.log_temperature.dtype) / 127.5 - 1.0
        features_BC = self.vision_model(pixels_BCHW)
        if self.image_projection is not None:
            features_BC = self.image_projection(features_BC)
        return self._unit(features_BC)

    def embed_texts(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Word-piece ids and their mask, both (B, T) -> unit rows of shape (B, D), from [CLS]."""
        return self._unit(self.text_projection(self.class_token(ids_BT, mask_BT)))

    def class_token(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """[CLS] before the projection, shape (B, text width): the paper's word vector (section 7)."""
        hidden_BTC: Tensor = self.text_model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        return hidden_BTC[:, 0]

    def _unit(self, rows_BD: Tensor) -> Tensor:
        """Unit rows in the precision of the weights: bfloat16 would round the norms."""
        return functional.normalize(rows_BD.to(self.log_temperature.dtype), dim=1)


def _projection(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def bert_config(settings: AlignSettings) -> BertConfig:
    """The text tower as a configuration of transformers."""
    tower = settings.text_tower
    return BertConfig(
        vocab_size=settings.vocabulary,
        hidden_size=tower.width,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads,
        intermediate_size=tower.inner_width,
        hidden_dropout_prob=tower.dropout,
        attention_probs_dropout_prob=tower.dropout,
        max_position_embeddings=tower.max_pieces,
    )
