import torch

from minicyclegan import ImagePool


def numbered(*numbers):
    """Images that are their number, everywhere."""
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def first(images):
    return images[:, 0, 0, 0].int().tolist()


def test_until_it_is_full_everything_comes_back():
    pool = ImagePool(5)
    assert first(pool.query(numbered(0, 1, 2))) == [0, 1, 2]
    assert first(pool.query(numbered(3, 4))) == [3, 4]


def test_about_half_are_swapped_and_nothing_is_lost():
    pool, out = ImagePool(50), []
    for i in range(1000):
        out += first(pool.query(numbered(2 * i, 2 * i + 1)))
    old = sum(a != b for a, b in enumerate(out[50:], 50)) / 1950
    assert 0.45 < old < 0.55
    assert sorted(out + first(pool.images)) == sorted([*range(2000), *range(50)])
    # every fake is shown once, kept or not; the first fifty were shown when they came as well


def test_old_images_come_back_much_later():
    pool = ImagePool(50)
    ages = [i - first(pool.query(numbered(i)))[0] for i in range(3000)]
    assert max(ages) > 100 and min(ages) == 0
    waits = [age for age in ages[500:] if age]
    assert 60 < sum(waits) / len(waits) < 140  # each is thrown out with 1/2 · 1/50 a step


def test_no_aliases_and_no_gradients():
    pool, fakes = ImagePool(2), numbered(7, 8).clone().requires_grad_()
    out = pool.query(fakes)
    assert not out.requires_grad
    out.fill_(-1)
    assert first(pool.images) == [7, 8]  # writing to what came out leaves the pool alone
    fakes.detach().fill_(-2)
    assert first(pool.images) == [7, 8]


def test_size_zero_is_no_pool():
    pool = ImagePool(0)
    for i in range(20):
        assert first(pool.query(numbered(i, i + 1))) == [i, i + 1]


def test_has_its_own_randomness():
    def run(disturb):
        pool = ImagePool(3, seed=5)
        out = []
        for i in range(60):
            if disturb:
                torch.rand(7)
            out += first(pool.query(numbered(i)))
        return out
    assert run(False) == run(True)
    other = ImagePool(3, seed=6)
    assert run(False) != [n for i in range(60) for n in first(other.query(numbered(i)))]


def test_goes_on_from_its_state():
    pool = ImagePool(4)
    for i in range(3):  # not full yet
        pool.query(numbered(i))
    for start in (3, 30):
        copy = ImagePool(4, seed=99)
        copy.load_state_dict(pool.state_dict())
        after = [first(pool.query(numbered(i))) for i in range(start, start + 27)]
        assert after == [first(copy.query(numbered(i))) for i in range(start, start + 27)]
