"""ALIGN's dual encoder: EfficientNet and BERT towers into one space of unit vectors (paper section 4)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from openalign.model.efficientnet import EfficientNet, ImageTowerSettings
from openalign.settings import Settings


class TextTowerSettings(Settings):
    """Shape of a BERT. The defaults are BERT-base; `scales.py` names the others."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    inner_width: int = 3072
    """Width of the feed-forward layers."""
    dropout: float = 0.1
    """Of embeddings, attention and feed-forward outputs, as BERT was published."""
    max_pieces: int = 64
    """Longest text in word pieces, [CLS] and [SEP] included (paper section 5); the rest is cut off."""


class AlignSettings(Settings):
    """All that shapes the model, apart from its weights."""

    image_tower: ImageTowerSettings = ImageTowerSettings()
    text_tower: TextTowerSettings = TextTowerSettings()
    vocabulary: int
    """Entries of the tokenizer (100,000 in the paper)."""
    image_size: int = 289
    """Side of the square crop that the image tower sees, in pixels (paper section 5)."""
    resize_size: int = 346
    """Side of the square that an image is resized to before the crop, in pixels."""
    initial_temperature: float = 1.0


class Align(nn.Module):
    """Two towers and one temperature. The text tower alone is projected: the shared width is the image tower's.

    The temperature is learned through its logarithm. The paper learns it directly, which a 1.2 M-step schedule
    can afford; a run of a few thousand steps would jump past zero, and a step in the logarithm is a relative one.
    """

    def __init__(self, settings: AlignSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vision_model = EfficientNet(settings.image_tower)
        self.text_model = BertModel(bert_config(settings), add_pooling_layer=False)
        self.text_projection = nn.Linear(settings.text_tower.width, settings.image_tower.width)
        nn.init.xavier_uniform_(self.text_projection.weight)
        nn.init.zeros_(self.text_projection.bias)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(settings.initial_temperature)))

    @property
    def width(self) -> int:
        """Width D of the shared embedding."""
        return self.settings.image_tower.width

    @property
    def temperature(self) -> Tensor:
        """The scalar that cosines are divided by, differentiable."""
        return self.log_temperature.exp()

    def embed_images(self, images_BHWC: Tensor) -> Tensor:
        """uint8 pixels of shape (B, H, W, 3) -> unit rows of shape (B, D)."""
        # (B, H, W, 3) seen as (B, 3, H, W) is PyTorch's channels_last layout: no copy, and the fast one.
        pixels_BCHW = images_BHWC.permute(0, 3, 1, 2).to(self.log_temperature.dtype) / 127.5 - 1.0
        return functional.normalize(self.vision_model(pixels_BCHW), dim=1)

    def embed_texts(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Word-piece ids and their mask, both (B, T) -> unit rows of shape (B, D), from [CLS]."""
        return functional.normalize(self.text_projection(self.class_token(ids_BT, mask_BT)), dim=1)

    def class_token(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """[CLS] before the projection, shape (B, text width): the paper's word vector (section 7)."""
        hidden_BTC: Tensor = self.text_model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        return hidden_BTC[:, 0]


def bert_config(settings: AlignSettings) -> BertConfig:
    """The text tower in transformers' terms."""
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
