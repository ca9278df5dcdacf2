"""The image pool: past fakes, shown to the discriminator again (paper, section 4)."""

import torch


class ImagePool:
    """Remembers `size` fakes, so that D does not chase the newest ones alone.

    Until it is full it hands back what comes in. Once full, each incoming fake is either handed
    back (probability 1/2) or swapped for a random old one, whose place it takes. size 0: no pool.

    The pool has its own random numbers, on the CPU: nothing else that draws can disturb it, and
    a GPU need not be waited for.
    """

    def __init__(self, size=50, seed=0):
        self.size = size
        self.count = 0
        self.images = None  # (size, C, H, W), made at the first call
        self.generator = torch.Generator().manual_seed(seed)

    def query(self, fakes):
        """fakes (N, C, H, W) in, as many images out, detached and copied: never an alias."""
        out = fakes.detach().clone()
        if self.size == 0:
            return out
        if self.images is None:
            self.images = torch.zeros_like(out[:1]).repeat(self.size, 1, 1, 1)
        for fake in out:  # a view: writing to it writes to out
            if self.count < self.size:
                self.images[self.count] = fake
                self.count += 1
            elif torch.rand((), generator=self.generator) < 0.5:
                place = int(torch.randint(self.size, (), generator=self.generator))
                old = self.images[place].clone()
                self.images[place] = fake
                fake.copy_(old)
        return out

    def state_dict(self):
        """All that the next call depends on, as tensors."""
        images = None if self.images is None else self.images[: self.count].clone()
        return {"images": images, "generator": self.generator.get_state()}

    def load_state_dict(self, state, device="cpu"):
        """Go on where `state_dict` was taken; the images are put on `device`."""
        self.generator.set_state(state["generator"])
        self.images, self.count = None, 0
        if state["images"] is not None:
            self.count = len(state["images"])
            self.images = torch.zeros(self.size, *state["images"].shape[1:], device=device,
                                      dtype=state["images"].dtype)
            self.images[: self.count] = state["images"]
