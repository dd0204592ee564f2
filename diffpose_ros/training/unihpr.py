"""The stages of a recipe that makes a UniHPR model, from views to the model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from diffpose_ros.core.files import write_text
from diffpose_ros.methods.catalog import find_model, model_names
from diffpose_ros.methods.model_folder import write_checkpoint
from diffpose_ros.methods.unihpr.config import UniHprConfig
from diffpose_ros.methods.unihpr.export import write_graphs
from diffpose_ros.methods.unihpr.network import UniHpr, load_network, to_mapping
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training import stage_record
from diffpose_ros.training.build import context_config, read_weights, set_up
from diffpose_ros.training.calibration import judging_views
from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.loop import Trainer
from diffpose_ros.training.model_card import StageLog
from diffpose_ros.training.stage_record import StageRecord
from diffpose_ros.training.unihpr_calibration import calibrate_decoder
from diffpose_ros.training.unihpr_card import unihpr_card
from diffpose_ros.training.unihpr_pictures import PictureTask, load_pictures
from diffpose_ros.training.unihpr_section import UniHprSection
from diffpose_ros.training.unihpr_tasks import DecoderTask, Encoders
from diffpose_ros.training.unihpr_views import RUN, Moments, write_views

if TYPE_CHECKING:
    from diffpose_ros.training.stages import RecipeRun, Stage

"""Options of the optimiser that do not change what comes out; all parts learn in float32."""

WEIGHTS = "model.safetensors"


def context_weights(path: Path) -> dict[str, Tensor]:
    """A context encoder's weights: a checkpoint of its own, or the part of a model that has one inside.

    Args:
        path: a file, or the name of a shipped model.

    Raises:
        ModelError: there is no such file, or it cannot be read.
    """
    weights = read_weights(_file(path))
    inside = {n.removeprefix("context."): t for n, t in weights.items() if n.startswith("context.")}
    return inside or weights


def _file(path: Path) -> Path:
    return find_model(str(path)).with_name(WEIGHTS) if str(path) in model_names() else path


@dataclass(frozen=True)
class _Work:
    """What the stages share: the recipe at work, its section, its folder, the context encoder's file."""

    work: RecipeRun
    section: UniHprSection
    root: Path
    context: Path

    def network(self, *parts: str) -> UniHpr:
        """The network with the weights of the stages ``parts``."""
        weights, section = context_weights(self.context), self.section
        config = UniHprConfig(
            context_config(weights, section.window, section.mirror), section.embedding, section.decoder
        )
        if section.pictures.file and "pictures" in parts:
            features = read_weights(self.root / "pictures" / WEIGHTS)["mean"].shape[0]
            config = replace(config, embedding=replace(config.embedding, features=features))
        network = UniHpr(config)
        network.context.load_state_dict(weights)
        for part in parts:
            learnt = read_weights(self.root / part / WEIGHTS)
            module = {"encoders": network, "decoder": network.decoder, "pictures": network.pictures}[part]
            assert module is not None
            own = set(module.state_dict())
            found = module.load_state_dict({n: t for n, t in learnt.items() if n in own}, strict=False)
            assert part == "encoders" or not found.missing_keys, found
        return network.eval()

    def train(
        self, module: nn.Module, loss: Any, options: OptimiserConfig, folder: Path
    ) -> Iterator[tuple[int, str]]:
        """Train a part on the moments."""
        moments = Moments(
            self.root / "views", self.section.views.batches, max(1, options.batch // RUN), options.seed
        )
        yield from self.go(Trainer(module, loss, moments, options, folder))

    def go(self, trainer: Trainer) -> Iterator[tuple[int, str]]:
        """Run a trainer, from where it stopped."""
        trainer.resume()
        yield trainer.step, f"resuming at step {trainer.step:,}" if trainer.step else "float32"
        yield from self.work.trained(trainer)


def unihpr_stages(work: RecipeRun, section: UniHprSection, before: list[Stage], context: Path) -> list[Stage]:
    """All stages, in order.

    Args:
        work: the recipe at work.
        section: its section.
        before: stages that make the context encoder; none where a checkpoint is taken.
        context: the context encoder's weights, or the name of a shipped model.
    """
    from diffpose_ros.training.stages import Stage

    root = Path(work.recipe.output) / work.recipe.name
    at, pictures = _Work(work, section, root, context), section.pictures
    file = _file(context)
    learnt = [root / part / WEIGHTS for part in ("encoders", "decoder")]
    made = {"model": section.embedding, "loss": section.loss}
    plan: list[tuple[str, dict[str, Any], int, tuple[Path, ...], Any]] = [
        ("views", {"views": section.views, "synthesis": section.synthesis,
                   "window": section.window, "mirror": section.mirror},
         section.views.batches, (file,), _views),
        ("encoders", made | {"optimiser": section.encoders, "views": section.views},
         section.encoders.steps, (file,), _encoders),
        ("decoder", {"model": section.decoder, "optimiser": section.decoding},
         section.decoding.steps, (file, learnt[0]), _decoder),
    ]  # fmt: skip
    if pictures.file:
        own = {k: v for k, v in asdict(pictures).items() if k not in ("file", "optimiser")}
        settings = {"pictures": own, "optimiser": pictures.optimiser}
        reads = file, Path(pictures.file), learnt[0]
        plan.append(("pictures", settings, pictures.optimiser.steps, reads, _pictures))
        learnt.append(root / "pictures" / WEIGHTS)
    plan += [
        ("calibration", {"calibration": work.recipe.calibration}, 0, (file, *learnt), _calibrate),
        ("model", {"name": work.recipe.name}, 0, (root / "calibration" / WEIGHTS,), _export),
    ]
    stages = [
        Stage(name, root / name, settings, steps, inputs, partial(does, at=at, folder=root / name))
        for name, settings, steps, inputs, does in plan
    ]
    return [*before, *stages]


def _views(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    set_up(at.section.encoders)
    network, config = at.network(), at.section.views
    yield 0, f"{config.segments} segments a step, two cameras each"
    for done in write_views(network, at.work.library, config, at.section.synthesis, folder):
        yield done, ""
        if at.work.out_of_time:
            return


def _encoders(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    device = set_up(at.section.encoders)
    module = Encoders(at.network(), at.section.loss).to(device)
    yield from at.train(module, module, at.section.encoders, folder)


def _decoder(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    device = set_up(at.section.decoding)
    network = at.network("encoders").requires_grad_(False).to(device)
    network.decoder.requires_grad_(True)
    yield from at.train(network.decoder, DecoderTask(network), at.section.decoding, folder)


def _pictures(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    section = at.section.pictures
    device = set_up(section.optimiser)
    pictures = load_pictures(Path(section.file)).split(section.judged)
    network = at.network("encoders").to(device)
    task = PictureTask(network, pictures, section.triplet, section.tau, section.noise)
    dataset = task.dataset(section.optimiser)
    yield from at.go(Trainer(task.module.to(device), task, dataset, section.optimiser, folder))
    record.result = task.judge(folder / WEIGHTS)


def _calibrate(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    recipe = at.work.recipe
    parts = ("encoders", "decoder", *(("pictures",) if at.section.pictures.file else ()))
    network = at.network(*parts)
    round_weights(network)
    section, held = recipe.calibration, at.work.motions.held_out
    yield 0, "calibrating"
    views = judging_views(at.work.judging, at.section.synthesis, section)
    found = calibrate_decoder(network, views)
    record.result = {**asdict(found), "held_out_clips": len(held)}
    write_checkpoint(network, to_mapping(network), folder)
    yield 0, f"{100 * found.coverage_after:.0f} % of coordinates within one sigma"


def _export(record: StageRecord, *, at: _Work, folder: Path) -> Iterator[tuple[int, str]]:
    root = at.root
    network = load_network(root / "calibration")
    parts = ("calibration", *(("pictures",) if at.section.pictures.file else ()))
    results = {n: r.result for n in parts if (r := stage_record.read(root / n)) is not None}
    logs = [StageLog(n, root / n / "log.jsonl") for n in ("encoders", "decoder", "pictures")]
    write_checkpoint(network, to_mapping(network), folder)
    card = unihpr_card(
        at.work.recipe, network, results, context=str(at.context), logs=logs, clips=at.work.motions.train
    )
    write_text(folder / "MODEL_CARD.md", card)
    for path in write_graphs(network, folder, name=at.work.recipe.name):
        yield 0, f"{path} ({path.stat().st_size / 1e6:.1f} MB)"
