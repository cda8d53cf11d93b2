"""A learner: generator, its moving average and discriminator, and one step of their training.

Nothing in a step waits for the device: losses stay there until somebody reads them. All that is
random in a step follows from the recipe's seed and the step's number, so that training which was
stopped and goes on ends with the same numbers as training which was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from animix.errors import OptionError
from tools.demo_networks import augment, losses
from tools.demo_networks.convolution import GradientsOfActivations
from tools.demo_networks.discriminator import initial_discriminator, judge
from tools.demo_networks.generator import (
    initial_generator,
    is_learnt,
    map_z,
    noise_of,
    synthesize,
)
from tools.demo_networks.ranks import ALONE, Ranks
from tools.demo_networks.recipe import Recipe, frozen
from tools.demo_networks.sizes import Size

W_AVG_KEEP = 0.998
"""How much of the average w stays in a step."""

PATH_KEEP = 0.99
"""How much of the average path length stays where it is measured."""

Tensors = dict[str, Tensor]
Compile = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]


@dataclass
class Learner:
    """What training moves: after ``images`` pictures, all of it on one device."""

    size: Size
    recipe: Recipe
    generator: Tensors
    average: Tensors
    """The generator's moving average, which is what is kept in the end."""
    discriminator: Tensors
    images: int = 0
    steps: int = 0
    mean_path: Tensor = field(default_factory=lambda: torch.zeros(()))
    probability: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Of each augmentation."""
    told: Tensors = field(default_factory=dict)
    """Losses and logits of the last step (this rank's); reading one waits for the device."""
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        device = self.average["mapping.w_avg"].device
        if self.recipe.batch % self.ranks.count:
            raise OptionError(
                f"a batch of {self.recipe.batch} can't be shared by {self.ranks.count} processes"
            )
        self.share = self.recipe.batch // self.ranks.count
        self.mean_path = self.mean_path.to(device)
        self.probability = self.probability.to(device)
        recipe = self.recipe
        learnt = [n for n in self.generator if is_learnt(n) and not frozen(recipe.freeze, n)]
        tops = [f"b{r}." for r in reversed(self.size.resolutions)][: recipe.freeze_d]
        judging = [n for n in self.discriminator if not n.startswith(tuple(tops))]
        self.learnt_g = {name: self.generator[name].requires_grad_(True) for name in learnt}
        self.learnt_d = {name: self.discriminator[name].requires_grad_(True) for name in judging}
        # Doing a regulariser each k-th step only, with k times its weight, is a change to Adam's
        # memory of past gradients (Karras et al. 2020, section 3.1, "lazy regularization").
        self.share_g = recipe.path_interval / (recipe.path_interval + 1)
        self.share_d = recipe.r1_interval / (recipe.r1_interval + 1)
        if not recipe.path_weight:
            self.share_g = 1.0
        self.adam_g = _adam(self.learnt_g, self.share_g, device)
        self.adam_d = _adam(self.learnt_d, self.share_d, device)
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._synthesize, self._judge = synthesize, judge

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return self.average["mapping.w_avg"].device

    @property
    def is_done(self) -> bool:
        """Whether all pictures of the recipe were shown."""
        return self.images >= self.recipe.total_images

    def compile(self) -> None:
        """Let torch.compile make painting and judging faster; regularisers stay as they are.

        They are differentiated twice, which compiled functions can't be.
        """
        self._synthesize = torch.compile(synthesize)
        self._judge = torch.compile(judge)

    def step(self, pictures: Tensor) -> None:
        """Show a batch of the pictures, uint8 [P, 3, H, W] on the device, and move all weights."""
        recipe, size = self.recipe, self.size
        seed = (recipe.seed + 1_000 * self.ranks.rank) * 1_000_003 + self.steps
        rng = torch.Generator(self.device).manual_seed(seed)
        for adam, share in ((self.adam_g, self.share_g), (self.adam_d, self.share_d)):
            for group in adam.param_groups:
                group["lr"].fill_(recipe.learning_rate_at(self.images) * share)
        real = self._drawn(pictures, rng)

        # One painting serves both: the discriminator learns on what the generator was judged by.
        w, ws = self._mixed_ws(self.share, rng)
        noise = noise_of(size, self.share, rng)
        fake = self._synthesize(self.generator, size, ws, noise, self.dtype)
        shown = self._augmented(fake, rng)
        for tensor in self.learnt_d.values():
            tensor.requires_grad_(False)
        loss_g = losses.generator_loss(self._judge(self.discriminator, size, shown, self.dtype))
        loss_g.backward()
        for tensor in self.learnt_d.values():
            tensor.requires_grad_(True)

        shown_real = self._augmented(real, rng)
        fake_logits = self._judge(self.discriminator, size, shown.detach(), self.dtype)
        real_logits = self._judge(self.discriminator, size, shown_real, self.dtype)
        losses.discriminator_loss(fake_logits, real_logits).backward()
        self._move(self.adam_g)
        self._move(self.adam_d)
        told = {
            "loss": loss_g.detach(),
            "fake": fake_logits.detach().mean(),
            "real": real_logits.detach().mean(),
        }

        if self.steps % recipe.r1_interval == 0:
            with GradientsOfActivations():
                penalty = losses.gradient_penalty(
                    lambda x: judge(self.discriminator, size, x, self.dtype), shown_real
                )
            weight = recipe.gamma_at(self.images) / 2 * recipe.r1_interval
            (weight * penalty).backward()
            self._move(self.adam_d)
            told["r1"] = penalty.detach()
        if recipe.path_weight and self.steps % recipe.path_interval == 0:
            told["path"] = self._regularise_paths(rng)
        if recipe.augment:
            judged = self.ranks.gathered(real_logits.detach())
            self.probability = augment.adapted(self.probability, judged)
        self._follow(w.detach())
        self.told = {**self.told, **told}
        self.images += recipe.batch
        self.steps += 1

    def _drawn(self, pictures: Tensor, rng: torch.Generator) -> Tensor:
        """A batch of pictures in [-1, 1]."""
        count = (self.share,)
        chosen = torch.randint(len(pictures), count, generator=rng, device=self.device)
        real = pictures[chosen].float() / 127.5 - 1
        if self.recipe.mirror:
            turned = torch.rand(count, generator=rng, device=self.device) < 0.5
            real = torch.where(turned[:, None, None, None], real.flip(3), real)
        return real

    def _augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return augment.augmented(images, self.probability, rng) if self.recipe.augment else images

    def _mixed_ws(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """New w [N, w_dim], and ws [N, num_ws, w_dim] of which some turn to another w half-way.

        Style mixing (Karras et al. 2019, section 3.1).
        """
        shape = (2, count, self.size.z_dim)
        z = torch.randn(shape, generator=rng, device=self.device)
        first, second = map_z(self.generator, z.flatten(0, 1)).chunk(2)
        numbers = torch.rand(2, count, 1, generator=rng, device=self.device)
        places = torch.arange(self.size.num_ws, device=self.device)
        turn = 1 + numbers[0] * (self.size.num_ws - 1)
        turns = (places >= turn) & (numbers[1] < self.recipe.mixing)  # [N, num_ws]
        return first, torch.where(turns[:, :, None], second[:, None], first[:, None])

    def _regularise_paths(self, rng: torch.Generator) -> Tensor:
        count = min(-(-self.recipe.path_batch // self.ranks.count), self.share)
        _, ws = self._mixed_ws(count, rng)
        if not ws.requires_grad:  # a frozen mapping
            ws = ws.requires_grad_(True)
        noise = noise_of(self.size, count, rng)
        shape = (count, 3, self.size.img_resolution, self.size.img_resolution)
        directions = torch.randn(shape, generator=rng, device=self.device)
        with GradientsOfActivations():
            images = synthesize(self.generator, self.size, ws, noise, self.dtype)
            lengths = losses.path_lengths(images, ws, directions)
        length = lengths.detach().mean()
        self.ranks.average([length])
        self.mean_path = self.mean_path.lerp(length, 1 - PATH_KEEP)
        penalty = losses.path_penalty(lengths, self.mean_path)
        (self.recipe.path_weight * self.recipe.path_interval * penalty).backward()
        self._move(self.adam_g)
        return length

    def _move(self, adam: torch.optim.Adam) -> None:
        learnt = [tensor for group in adam.param_groups for tensor in group["params"]]
        self.ranks.average(t.grad for t in learnt if t.grad is not None)
        adam.step()
        adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _follow(self, w: Tensor) -> None:
        """Let the moving average follow the generator, and w_avg the w."""
        if not frozen(self.recipe.freeze, "mapping.w_avg"):
            mean = w.mean(dim=0)
            self.ranks.average([mean])
            self.generator["mapping.w_avg"].lerp_(mean, 1 - W_AVG_KEEP)
            self.average["mapping.w_avg"].copy_(self.generator["mapping.w_avg"])
        torch._foreach_lerp_(
            [self.average[name] for name in self.learnt_g],
            [tensor.detach() for tensor in self.learnt_g.values()],
            1 - self.recipe.keep_at(self.images),
        )


def _adam(learnt: Mapping[str, Tensor], share: float, device: torch.device) -> torch.optim.Adam:
    # β₁ is 0: Adam's first moment is the last gradient, and no state has to keep it. The learning
    # rate is a tensor, so that changing it costs nothing, compiled or not.
    return torch.optim.Adam(
        list(learnt.values()),
        lr=torch.tensor(0.0, device=device),
        betas=(0.0, 0.99**share),
        eps=1e-8,
        fused=True,
    )


def new_learner(
    size: Size,
    recipe: Recipe,
    device: torch.device,
    generator: Mapping[str, Tensor] | None = None,
    discriminator: Mapping[str, Tensor] | None = None,
    ranks: Ranks = ALONE,
) -> tuple[Learner, list[str]]:
    """A learner that has seen nothing, or goes on from other tensors; and what is new in it.

    Tensors of the same name and shape are taken over: a network of half the size is a start too,
    whose last block is new. There the new picture begins as nothing, so that the first pictures
    are the old ones, larger.
    """
    rng = torch.Generator().manual_seed(recipe.seed)
    own = initial_generator(size, rng), initial_discriminator(size, rng)
    fresh: list[str] = []
    for tensors, given in zip(own, (generator, discriminator), strict=True):
        for name, tensor in tensors.items():
            if given and name in given and given[name].shape == tensor.shape:
                tensor.copy_(given[name])
            elif given:
                fresh.append(name)
                if name.endswith("torgb.weight"):
                    tensor.zero_()
    moved = [{name: t.to(device) for name, t in tensors.items()} for tensors in own]
    average = {name: tensor.clone() for name, tensor in moved[0].items()}
    return Learner(size, recipe, moved[0], average, moved[1], ranks=ranks), fresh
