"""The builder of candidate summaries: plan and task documents in, one summary a candidate out.

A plan or task document that carries no mark `BUILT` is new: whoever writes one, jobflow's own store included, replaces
the whole document, and the mark with it. The builder looks for what has no mark, which an index answers, builds the
candidates that this touches, and then sets the marks, on the very documents that it has read. Neither clocks nor the
number of candidates matter, and a builder that dies leaves its work to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from maggma.core import Builder
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from lzc_flows.database.stores import BUILDS, BUILT, CANDIDATES, PLAN, TASKS, Database
from lzc_flows.database.summary import OUTPUT_FIELDS, summarise
from lzc_flows.documents.candidate import CandidateDoc

CHUNK = 60
"""Plans built at a time: with eight stages, 480 keys are asked for at once; with many more MongoDB's `$in` is slow."""

_TASK_FIELDS = ["uuid", "index", "completed_at", "metadata.key", *(f"output.{name}" for name in OUTPUT_FIELDS)]

_FIELDS = [f"{name}: {field.annotation}" for name, field in CandidateDoc.model_fields.items()]

_FORM = hashlib.sha256(" ".join(_FIELDS).encode()).hexdigest()[:8]
"""Changes with the fields of a summary and their types: those of an older version are built again."""

_DUPLICATE_KEY = 11000


class CandidateBuilder(Builder):
    """Builds the summaries that are missing or out of date.

    A summary holds a checksum of the task documents and the plan that it was built from, and of its own fields; it is
    replaced only as it was when these were read, so that of two builders the later never undoes the earlier.
    """

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.tasks = database.store(TASKS, "uuid")
        self.plan = database.store(PLAN, "key")
        self.candidates = database.store(CANDIDATES, "key")
        super().__init__(sources=[self.tasks, self.plan], targets=[self.candidates], **settings)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield plan, newest task documents and earlier summary of each candidate that needs building."""
        news = self.new_tasks()
        for plans in self.new_plans(news):
            yield from self.items_of(plans, news)

    def new_tasks(self) -> list[dict[str, Any]]:
        """Return the task documents that no builder has seen, as far as summaries need them."""
        self._forget_other_forms()
        return list(self.tasks.query({BUILT: None}, properties=_TASK_FIELDS))

    def new_plans(self, news: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Yield, some at a time, the plans that are new themselves or have new tasks."""
        yield from _chunks(list(self.plan.query({BUILT: None})))
        keys = {key for key in map(_key, news) if key is not None}
        touched = []
        if keys:
            for plan in self.plan.query({BUILT: True}, properties=["key", "stage_keys"]):
                if not keys.isdisjoint(plan["stage_keys"].values()):
                    touched.append(plan["key"])
        for some in _chunks(touched):
            yield list(self.plan.query({"key": {"$in": some}, BUILT: True}))

    def items_of(self, plans: list[dict[str, Any]], news: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what must be built of these plans."""
        keys = {"key": {"$in": [plan["key"] for plan in plans]}}
        built = {entry["key"]: entry for entry in self.candidates.query(keys, ["key", "built_from", "stages"])}
        newest = self._newest(plans, built, news)
        items = []
        for plan in plans:
            tasks = {stage: newest[key] for stage, key in plan["stage_keys"].items() if key in newest}
            origin, was = _origin(plan, tasks), built.get(plan["key"])
            if was is None or was.get("built_from") != origin:
                items.append({"plan": plan, "tasks": tasks, "origin": origin, "was": was})
        return items

    def _newest(
        self, plans: list[dict[str, Any]], built: dict[str, dict[str, Any]], news: list[dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return the newest finished task document by its key, of the stages that are built already and of the news."""
        older = []
        for plan in plans:
            # a plan without mark may be younger than the marks of its results
            whole = BUILT not in plan or plan["key"] not in built
            stages = plan["stage_keys"] if whole else built[plan["key"]]["stages"]
            older += [key for stage, key in plan["stage_keys"].items() if stage in stages]
        wanted = {key for plan in plans for key in plan["stage_keys"].values()}
        found = [*self._tasks_of(older), *(task for task in news if _key(task) in wanted)]
        newest: dict[str, dict[str, Any]] = {}
        for task in found:
            # a run that was replaced by its continuation left a document without output
            if task.get("output") is None:
                continue
            key = task["metadata"]["key"]
            if key not in newest or _age(newest[key]) < _age(task):
                newest[key] = task
        return newest

    def _tasks_of(self, keys: list[str]) -> Iterator[dict[str, Any]]:
        if keys:
            yield from self.tasks.query({"metadata.key": {"$in": keys}}, properties=_TASK_FIELDS)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the summary of one candidate with the one that it replaces, None if there is none."""
        return {"summary": summarise(item["plan"], item["tasks"], item["origin"]), "was": item["was"]}

    def update_targets(self, items: list[dict[str, Any]]) -> bool:
        """Write the summaries; return False if another builder has written some of them since they were read."""
        summaries = self.candidates._collection
        fresh = [item["summary"] for item in items if item["was"] is None]
        older = [
            ReplaceOne(
                {"key": item["summary"]["key"], "built_from": item["was"].get("built_from")},
                item["summary"],
            )
            for item in items
            if item["was"] is not None
        ]
        alone = not older or summaries.bulk_write(older, ordered=False).matched_count == len(older)
        try:
            if fresh:
                summaries.insert_many(fresh, ordered=False)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE_KEY for failure in (error.details or {})["writeErrors"]):
                raise
            return False
        return alone

    def mark_plans(self, plans: list[dict[str, Any]]) -> None:
        """Mark plans as built, those that are still as they were read."""
        fresh = [plan for plan in plans if BUILT not in plan]
        for campaigns in {tuple(plan["campaigns"]) for plan in fresh}:
            as_read = {"key": {"$in": [plan["key"] for plan in fresh]}, "campaigns": list(campaigns)}
            self.plan._collection.update_many(as_read, {"$set": {BUILT: True}})

    def mark_tasks(self, news: list[dict[str, Any]]) -> None:
        """Mark task documents as built, those that are still as they were read."""
        for tasks in _chunks(news):
            # a job that runs again writes under the same UUID and index: only the time tells its documents apart
            times = list({task.get("completed_at") for task in tasks})
            as_read = {"_id": {"$in": [task["_id"] for task in tasks]}, "completed_at": {"$in": times}}
            self.tasks._collection.update_many(as_read, {"$set": {BUILT: True}})

    def _forget_other_forms(self) -> None:
        """Let all be built again if another version's fields were built last."""
        builds = self.database.collection(BUILDS)
        state = builds.find_one({"_id": CANDIDATES})
        if state is None or state["form"] != _FORM:
            self.database.ensure_indexes()
            self.plan._collection.update_many({BUILT: True}, {"$unset": {BUILT: True}})
            builds.replace_one({"_id": CANDIDATES}, {"form": _FORM}, upsert=True)


def build_candidates(database: Database) -> None:
    """Bring the summaries up to date; without news this takes a few short questions, whatever the database holds."""
    builder = CandidateBuilder(database)
    builder.connect()
    try:
        while not _build_once(builder):
            pass  # another builder was faster somewhere: what it left is looked at again
    finally:
        for store in (*builder.sources, *builder.targets):
            store.close()


def _build_once(builder: CandidateBuilder) -> bool:
    """Build what is new; return False if another builder came between."""
    news = builder.new_tasks()
    alone = True
    for plans in builder.new_plans(news):
        if builder.update_targets([builder.process_item(item) for item in builder.items_of(plans, news)]):
            builder.mark_plans(plans)
        else:
            alone = False
    if alone:
        builder.mark_tasks(news)
    return alone


def _chunks(entries: list[Any]) -> Iterable[list[Any]]:
    return (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))


def _key(task: dict[str, Any]) -> str | None:
    return task.get("metadata", {}).get("key")


def _age(task: dict[str, Any]) -> tuple[str, int]:
    return task["completed_at"], task["index"]


def _origin(plan: dict[str, Any], tasks: dict[str, dict]) -> str:
    """Return a checksum of all that a summary follows from."""
    # a job that runs again writes under the same UUID and index: only the time tells its documents apart
    documents = [
        f"{stage}:{task['uuid']}:{task['index']}:{task['completed_at']}" for stage, task in sorted(tasks.items())
    ]
    everything = [f"fields:{_FORM}", *documents, *(f"campaign:{name}" for name in sorted(plan["campaigns"]))]
    return hashlib.sha256(" ".join(everything).encode()).hexdigest()[:24]
