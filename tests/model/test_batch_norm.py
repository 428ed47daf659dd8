"""Statistics over groups, and running averages that move once a step whatever passes the step takes."""

import pytest
import torch
from torch import nn

from openalign.errors import OpenAlignError
from openalign.model.batch_norm import BatchNorm, set_group, set_statistics


@pytest.fixture
def x_BCHW() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(12, 3, 4, 5) * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + 1.0


def plain_norm() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(3, eps=1e-3, momentum=0.01)


def test_without_a_group_it_is_torchs_batch_norm(x_BCHW: torch.Tensor) -> None:
    ours, torchs = BatchNorm(3), plain_norm()
    torch.testing.assert_close(ours(x_BCHW), torchs(x_BCHW))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    torch.testing.assert_close(ours.eval()(x_BCHW), torchs.eval()(x_BCHW))
    assert ours.state_dict().keys() == torchs.state_dict().keys()


def test_each_group_is_normalised_by_itself(x_BCHW: torch.Tensor) -> None:
    norm = BatchNorm(3)
    set_group(norm, 4)
    expected = torch.cat([plain_norm()(part) for part in x_BCHW.split(4)])
    torch.testing.assert_close(norm(x_BCHW), expected)


def test_running_averages_move_once_by_the_mean_over_all_groups_of_a_step(x_BCHW: torch.Tensor) -> None:
    norm = BatchNorm(3)
    set_group(norm, 2)
    set_statistics(norm, "collect")
    for micro_batch in x_BCHW.split(6):
        norm(micro_batch)
    set_statistics(norm, "ignore")
    norm(x_BCHW)
    assert norm.running_mean is not None and norm.running_var is not None
    assert not norm.running_mean.any()
    norm.commit()
    groups = x_BCHW.split(2)
    means = torch.stack([group.mean((0, 2, 3)) for group in groups]).mean(0)
    variances = torch.stack([group.transpose(0, 1).flatten(1).var(1) for group in groups]).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.01 * means)
    torch.testing.assert_close(norm.running_var, 0.99 + 0.01 * variances)
    assert norm.num_batches_tracked == 1


def test_a_group_that_does_not_divide_the_batch_is_refused(x_BCHW: torch.Tensor) -> None:
    norm = BatchNorm(3)
    set_group(norm, 5)
    with pytest.raises(OpenAlignError, match="batch_norm_group 5 does not divide the 12 samples"):
        norm(x_BCHW)
