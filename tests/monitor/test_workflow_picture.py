"""A workflow as a picture: each step behind what it waits for, boxes that do not overlap, many alike as one."""

from __future__ import annotations

import random

from hotqueue.monitor.workflow_picture import HEIGHT, MOST, WIDTH, Picture, picture


def overlap(made: Picture) -> bool:
    boxes = made.boxes
    pairs = [(a, b) for n, a in enumerate(boxes) for b in boxes[:n]]
    return any(abs(a.x - b.x) < WIDTH and abs(a.y - b.y) < HEIGHT for a, b in pairs)


def test_a_chain_goes_from_left_to_right() -> None:
    made = picture(["a", "b", "c"], ["succeeded", "running", "waiting"], [[], [0], [1]])
    assert [(box.label, box.layer, box.state, box.says) for box in made.boxes] == [
        ("a", 0, "succeeded", "succeeded"),
        ("b", 1, "running", "running"),
        ("c", 2, "waiting", "waiting"),
    ]
    assert [line.state for line in made.lines] == ["succeeded", "running"]
    assert made.lines[0].path.startswith(f"M{made.boxes[0].x + WIDTH},")
    assert len({box.y for box in made.boxes}) == 1


def test_many_alike_are_one_box() -> None:
    count = 10_000
    states = ["succeeded"] * 9120 + ["waiting"] * 879 + ["failed"] + ["waiting"]
    made = picture(["t"] * count + ["body"], states, [[] for _ in range(count)] + [list(range(count))])
    assert [box.label for box in made.boxes] == ["10,000 × t", "body"]
    assert made.boxes[0].says == "9,120 succeeded, 879 waiting, 1 failed"
    assert made.boxes[0].state == "failed"
    assert len(made.lines) == 1


def test_no_picture_has_more_boxes_than_may_be() -> None:
    count = MOST + 50
    made = picture([f"t{n}" for n in range(count)], ["waiting"] * count, [[n - 1] if n else [] for n in range(count)])
    assert (len(made.boxes), made.hidden, len(made.lines)) == (MOST, 50, MOST - 1)
    assert picture([], [], []) == Picture(width=24, height=24)


def test_boxes_never_overlap_and_lines_go_forward() -> None:
    rng = random.Random(16)
    for _ in range(60):
        count = rng.randint(1, 60)
        needs = [sorted(rng.sample(range(n), rng.randint(0, min(3, n)))) for n in range(count)]
        made = picture([rng.choice("ab") for _ in range(count)], ["waiting"] * count, needs, "".join(rng.choices("SA", k=count)))
        assert not overlap(made)
        assert sum(len(box.numbers) for box in made.boxes) == count
        assert all(line.x1 < line.x2 for line in made.lines)
        assert all(0 <= box.x <= made.width - WIDTH and 0 <= box.y <= made.height - HEIGHT for box in made.boxes)
