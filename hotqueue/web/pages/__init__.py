"""The pages of the dashboard, a file each: what it reads of the store, and what can be done there."""

from __future__ import annotations

from hotqueue.web.page import Action, Page
from hotqueue.web.pages import bulk, limits, names, new_task, one_task, overview, queues, schedules, tasks, workers, workflows

MODULES = (
    overview,
    queues,
    workers,
    names,
    tasks,
    one_task,
    new_task,
    bulk,
    schedules,
    workflows,
    limits,
)  # in the order of the navigation

PAGES: tuple[Page, ...] = tuple(page for module in MODULES for page in module.PAGES)
ACTIONS: tuple[Action, ...] = tuple(action for module in MODULES for action in module.ACTIONS)
NAVIGATION: tuple[Page, ...] = tuple(page for page in PAGES if page.title and not page.section)
