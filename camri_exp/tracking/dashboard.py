"""A saved workspace and a report of recall against accuracy, built from code; built again, they are updated."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr
from wandb_workspaces.workspaces import internal

from camri_exp.tracking import panels

NAME = "camri_exp: recall against accuracy"
VIEW = "nw-camriexprecall-v"  # W&B's form of a saved view's name; a fixed one is found again


@dataclass
class Baseline:
    """The loss that others are compared with, what its runs reach, and the run that is marked for it."""

    loss: str
    accuracies: dict[str, float] = field(default_factory=dict)  # run id -> test accuracy

    def text(self) -> str:
        if not self.accuracies:
            return f"Baseline: {self.loss}"
        mean = statistics.fmean(self.accuracies.values())
        return f"Baseline {self.loss}: accuracy {mean:.4f} (mean of {len(self.accuracies)} runs)"

    def run(self) -> str | None:
        """The run whose accuracy is the median."""
        ranked = sorted(self.accuracies, key=lambda run: self.accuracies[run])
        return ranked[len(ranked) // 2] if ranked else None


def workspace(
    entity: str, project: str, baseline: Baseline, chosen: Mapping[str, str], losses: Sequence[str]
) -> ws.Workspace:
    """The workspace; ``chosen`` filters by data, important_class and loss, and each of ``losses`` gets a colour."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=panels.sections(baseline.text()),
        settings=ws.WorkspaceSettings(x_axis=panels.STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=panels.filters(dict(chosen)),
            groupby=[expr.Config(name) for name in panels.GROUPS],
            group_colors=dict(zip(losses, panels.COLOURS, strict=False)),
            pinned_columns=list(panels.COLUMNS),
            baseline_run=baseline.run(),
        ),
    )


def report(entity: str, project: str, baseline: Baseline, chosen: Mapping[str, str]) -> wr.Report:
    """The report: the same panels, a run set of all runs and one of the baseline."""
    runs = runset("all runs, seeds grouped", dict(chosen))
    base = runset(f"baseline: {baseline.loss}", {**chosen, "loss": baseline.loss})
    blocks: list[Any] = [wr.P(INTRODUCTION), wr.TableOfContents()]
    for section in panels.sections(baseline.text()):
        blocks += [wr.H2(section.name), wr.PanelGrid(runsets=[runs, base], panels=section.panels)]
    return wr.Report(
        entity=entity, project=project, title=NAME, description=baseline.text(), blocks=blocks, width="fluid"
    )


INTRODUCTION = (
    "Each point is one setting, its seeds grouped. Choose on the validation split; the test split is the last look. "
    "A loss that gains recall has to beat moving the threshold of the baseline, which the figures of single runs draw."
)


def runset(name: str, chosen: dict[str, str]) -> wr.Runset:
    return wr.Runset(  # without a project: the report's own
        name=name,
        filters=panels.filters(chosen),
        groupby=[f"config.{key}" for key in panels.GROUPS],
        pinned_columns=["run:displayName"],
        visible_columns=list(panels.COLUMNS),
        lock_columns=True,
    )


def finished_runs(entity: str, project: str, baseline: str, chosen: Mapping[str, str]) -> tuple[Baseline, list[str]]:
    """The baseline's runs below the filters, and all losses in the project."""
    import wandb

    wanted = {f"config.{panels.FILTERS[name]}": value for name, value in chosen.items() if name != "loss"}
    found, losses = Baseline(baseline), {baseline}
    filters = {"state": "finished", "jobType": "train", **wanted}
    for run in wandb.Api().runs(f"{entity}/{project}", filters=filters, lazy=False):  # lazy: a request more a run
        loss, accuracy = run.config.get("loss", {}).get("name"), run.summary.get("test/accuracy")
        losses |= {loss} if loss else set()
        if loss == baseline and accuracy is not None:
            found.accuracies[run.id] = float(accuracy)
    return found, sorted(losses)


def dump(workspace: ws.Workspace, report: wr.Report) -> dict[str, Any]:
    """Both as W&B is sent them."""
    return {
        "workspace": workspace._to_model().model_dump(by_alias=True, exclude_none=True, mode="json"),
        "report": report._to_model().model_dump(by_alias=True, exclude_none=True, mode="json"),
    }


def save(workspace: ws.Workspace, report: wr.Report) -> tuple[str, str]:
    """Create both, or update those that an earlier call created; their addresses."""
    workspace._internal_name, workspace._internal_id = VIEW, view_id(workspace.entity, workspace.project)
    report.id = report_id(report.entity, report.project)
    return workspace.save().url, report.save().url


def view_id(entity: str, project: str) -> str:
    """Id of the saved view, or an empty string."""
    try:
        return str(internal.get_view_dict(entity, project, internal._internal_name_to_url_query_str(VIEW))["id"])
    except ValueError:  # no such view yet
        return ""


def report_id(entity: str, project: str) -> str:
    """Id of the report of that title, or an empty string."""
    import wandb

    found = (report.id for report in wandb.Api().reports(f"{entity}/{project}") if report.display_name == NAME)
    return next(found, "")
