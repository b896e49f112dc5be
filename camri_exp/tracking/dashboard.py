"""A saved W&B workspace and a report of recall against accuracy; a second call updates both."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from camri_exp.tracking import panels

NAME = "camri_exp: recall against accuracy"
VIEW = "nw-camriexprecall-v"  # in W&B's form for names of saved views; fixed, so that a second call updates the view
INTRODUCTION = (
    "Each point is one configuration: its runs, which differ by the seed alone, are grouped. Choose on the validation "
    "split; use the test split once, at the end. A loss that gains recall should be compared with threshold moving of "
    "the baseline, which the figures of the single runs show."
)


@dataclass
class Baseline:
    """The loss that others are compared with, and the test accuracy of its runs by run id."""

    loss: str
    accuracies: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """The mean accuracy, for titles."""
        if not self.accuracies:
            return f"Baseline: {self.loss}"
        mean = statistics.fmean(self.accuracies.values())
        return f"Baseline {self.loss}: accuracy {mean:.4f} (mean of {len(self.accuracies)} runs)"

    def median_run(self) -> str | None:
        """Id of the run with the median accuracy, which W&B marks as the baseline."""
        ranked = sorted(self.accuracies, key=lambda run: self.accuracies[run])
        return ranked[len(ranked) // 2] if ranked else None


def workspace(
    entity: str, project: str, baseline: Baseline, chosen: Mapping[str, str], losses: Sequence[str]
) -> ws.Workspace:
    """The workspace; ``chosen`` filters by data, important_class or loss, and each of ``losses`` has its colour."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=panels.sections(baseline.text()),
        settings=ws.WorkspaceSettings(x_axis=panels.STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=panels.filters(chosen),
            groupby=[expr.Config(name) for name in panels.GROUPS],
            group_colors=dict(zip(losses, panels.COLOURS, strict=False)),
            pinned_columns=list(panels.COLUMNS),
            baseline_run=baseline.median_run(),
        ),
    )


def report(entity: str, project: str, baseline: Baseline, chosen: Mapping[str, str]) -> wr.Report:
    """The report: the same panels, with one run set of all runs and one of the baseline."""
    runs = runset("all runs, seeds grouped", chosen)
    base = runset(f"baseline: {baseline.loss}", {**chosen, "loss": baseline.loss})
    blocks: list[Any] = [wr.P(INTRODUCTION), wr.TableOfContents()]
    for section in panels.sections(baseline.text()):
        blocks += [wr.H2(section.name), wr.PanelGrid(runsets=[runs, base], panels=section.panels)]
    return wr.Report(
        entity=entity, project=project, title=NAME, description=baseline.text(), blocks=blocks, width="fluid"
    )


def runset(name: str, chosen: Mapping[str, str]) -> wr.Runset:
    """Runs of the report's project below the filters of ``chosen``, grouped by configuration."""
    return wr.Runset(
        name=name,
        filters=panels.filters(chosen),
        groupby=[f"config.{key}" for key in panels.GROUPS],
        pinned_columns=["run:displayName"],
        visible_columns=list(panels.COLUMNS),
        lock_columns=True,
    )


def finished_runs(entity: str, project: str, loss: str, chosen: Mapping[str, str]) -> tuple[Baseline, list[str]]:
    """The baseline ``loss`` with its finished runs below the filters, and all losses of the project."""
    wanted = {f"config.{panels.FILTERS[name]}": value for name, value in chosen.items() if name != "loss"}
    baseline, losses = Baseline(loss), {loss}
    filters = {"state": "finished", "jobType": "train", **wanted}
    for run in wandb.Api().runs(f"{entity}/{project}", filters=filters, lazy=False):  # lazy: one request more per run
        name, accuracy = run.config.get("loss", {}).get("name"), run.summary.get("test/accuracy")
        losses |= {name} if name else set()
        if name == loss and accuracy is not None:
            baseline.accuracies[run.id] = float(accuracy)
    return baseline, sorted(losses)


def save(workspace: ws.Workspace, report: wr.Report) -> tuple[str, str]:
    """Create the workspace and the report, or update those of an earlier call; returns their addresses."""
    fix_view(workspace)
    reports = wandb.Api().reports(f"{report.entity}/{report.project}")
    report.id = next((saved.id for saved in reports if saved.display_name == NAME), "")
    return workspace.save().url, report.save().url


# wandb_workspaces has no public way to do the following; its private names are used here and nowhere else.


def fix_view(workspace: ws.Workspace) -> None:
    """Let ``workspace.save()`` update the view of an earlier call, if there is one, instead of creating another."""
    from wandb_workspaces.workspaces import internal

    name = internal._internal_name_to_url_query_str(VIEW)
    try:
        view_id = str(internal.get_view_dict(workspace.entity, workspace.project, name)["id"])
    except ValueError:  # there is no such view yet
        view_id = ""
    workspace._internal_name, workspace._internal_id = VIEW, view_id


def dump(workspace: ws.Workspace, report: wr.Report) -> dict[str, Any]:
    """The workspace and the report as they are sent to W&B."""
    return {
        name: thing._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")
        for name, thing in (("workspace", workspace), ("report", report))
    }
