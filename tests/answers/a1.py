"""Answers to assignment 1: wrong ones, which must lose their question's points, and right ones in
another style."""

# (question, what is wrong, text in the master's answer cell, text in its place)
# or, with None as third item, (question, what is wrong, None, the whole answer cell)
WRONG = [
    ("a1-to-tensor", "[0, 1] in place of [-1, 1]", "/ 127.5 - 1", "/ 255"),
    ("a1-to-tensor", "divided by 128", "/ 127.5 - 1", "/ 128 - 1"),
    ("a1-to-tensor", "grayscale crashes", 'image.convert("RGB")', "image"),
    ("a1-to-tensor", "only grayscale is taken care of", None, '''# a1-to-tensor (keep this line)
def image_to_tensor(image):
    if image.mode == "L":
        image = image.convert("RGB")
    array = np.array(image)[..., :3]
    return torch.from_numpy(array).permute(2, 0, 1).float() / 127.5 - 1
'''),
    ("a1-to-tensor", "colours last", ".permute(2, 0, 1)", ""),
    ("a1-to-tensor", "width and height swapped", "permute(2, 0, 1)", "permute(2, 1, 0)"),
    ("a1-to-tensor", "reshape in place of permute", "permute(2, 0, 1)",
     "reshape(3, image.height, image.width)"),
    ("a1-to-tensor", "arithmetic in uint8", "permute(2, 0, 1).float() / 127.5 - 1",
     "permute(2, 0, 1) * 2 / 255 - 1"),
    ("a1-to-tensor", "whole numbers", ".float() / 127.5 - 1", ".float() // 127.5 - 1"),
    ("a1-to-tensor", "float64", ".float()", ".double()"),
    ("a1-to-tensor", "every image by its own brightest pixel", None,
     '''# a1-to-tensor (keep this line)
def image_to_tensor(image):
    x = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float()
    x = (x - x.min()) / (x.max() - x.min()).clamp(min=1)
    return 2 * x - 1
'''),

    ("a1-to-image", "cuts off in place of rounding", ".round()", ""),
    ("a1-to-image", "no clamp: wraps round", ".clamp(0, 255)", ""),
    ("a1-to-image", "clamps after the change of type", ".clamp(0, 255).byte()",
     ".byte().clamp(0, 255)"),
    ("a1-to-image", "expects [0, 1]", "((tensor.detach() + 1) * 127.5)",
     "(tensor.detach() * 255)"),
    ("a1-to-image", "times 128", "* 127.5", "* 128"),
    ("a1-to-image", "width and height swapped", "transpose(1, 2, 0)", "transpose(2, 1, 0)"),
    ("a1-to-image", "no detach", None, '''# a1-to-image (keep this line)
def tensor_to_image(tensor):
    array = np.clip(np.rint((tensor.numpy() + 1) * 127.5), 0, 255).astype(np.uint8)
    return Image.fromarray(array.transpose(1, 2, 0))
'''),
    ("a1-to-image", "always up", ".round()", ".ceil()"),
    ("a1-to-image", "changes the tensor in place", "(tensor.detach() + 1)",
     "tensor.detach().add_(1)"),
    ("a1-to-image", "clamps the tensor in place", "(tensor.detach() + 1)",
     "(tensor.detach().clamp_(-1, 1) + 1)"),

    ("a1-draw", "B tied to A", "rng.randrange(count_B)", "index % count_B"),
    ("a1-draw", "one offset for the whole epoch", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    offset = random.Random(f"{seed}/{epoch}").randrange(count_B)
    return index % count_A, (index + offset) % count_B
'''),
    ("a1-draw", "one B for the whole epoch", "/{index}", ""),
    ("a1-draw", "the same in every epoch", "{epoch}/", ""),
    ("a1-draw", "cached by index", None, '''# a1-draw (keep this line)
drawn = {}


def draw_pair(count_A, count_B, index, epoch, seed):
    key = index, count_B, seed
    if key not in drawn:
        drawn[key] = random.Random(f"{seed}/{epoch}/{index}").randrange(count_B)
    return index % count_A, drawn[key]
'''),
    ("a1-draw", "global random numbers", "rng.randrange(count_B)", "random.randrange(count_B)"),
    ("a1-draw", "global random numbers, seeded", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    random.seed(f"{seed}/{epoch}/{index}")
    return index % count_A, random.randrange(count_B)
'''),
    ("a1-draw", "torch's global random numbers, seeded", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    torch.manual_seed(seed * 1000003 + epoch * 1009 + index)
    return index % count_A, torch.randint(count_B, (1,)).item()
'''),
    ("a1-draw", "weights that are larger primes", 'f"{seed}/{epoch}/{index}"',
     "seed * 1_000_003 + epoch * 10_007 + index"),
    ("a1-draw", "two large weights, the smaller one on the epoch", 'f"{seed}/{epoch}/{index}"',
     "seed * 10**9 + epoch * 16384 + index"),
    ("a1-draw", "a weight on the index too", 'f"{seed}/{epoch}/{index}"',
     "seed * 10**9 + epoch * 8191 + 3 * index"),
    ("a1-draw", "the seed runs into the index", 'f"{seed}/{epoch}/{index}"',
     "seed * 5000 + epoch * 10**9 + index"),
    ("a1-draw", "the seed runs into the epoch", 'f"{seed}/{epoch}/{index}"',
     'f"{seed * 1000 + epoch}/{index}"'),
    ("a1-draw", "exclusive or", 'f"{seed}/{epoch}/{index}"', "seed ^ epoch ^ index"),
    ("a1-draw", "the same stride all through an epoch", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    rng = random.Random(f"{seed}/{epoch}")
    start, stride = rng.randrange(count_B), rng.randrange(1, max(2, count_B))
    return index % count_A, (start + stride * index) % count_B
'''),
    ("a1-draw", "rounded: the two ends half as likely", "rng.randrange(count_B)",
     "round(rng.random() * (count_B - 1))"),
    ("a1-draw", "one B a little more likely", "rng.randrange(count_B)",
     "rng.randrange(count_B + 1) % count_B"),
    ("a1-draw", "count_A in place of count_B", "rng.randrange(count_B)", "rng.randrange(count_A)"),
    ("a1-draw", "the smaller of the two", "rng.randrange(count_B)",
     "rng.randrange(min(count_A, count_B))"),
    ("a1-draw", "the seed is not used", "{seed}/", ""),
    ("a1-draw", "sum of seed, epoch and index", 'f"{seed}/{epoch}/{index}"',
     "seed + epoch + index"),
    ("a1-draw", "nothing between the numbers' parts", 'f"{seed}/{epoch}/{index}"',
     "1000 * (seed + epoch) + index"),
    ("a1-draw", "hangs on i, not on the index", "{index}", "{index % count_A}"),
    ("a1-draw", "A at random as well", "index % count_A", "rng.randrange(count_A)"),
    ("a1-draw", "the last B is never drawn", "rng.randrange(count_B)",
     "rng.randrange(max(1, count_B - 1))"),
    ("a1-draw", "A does not start over", "index % count_A, rng", "index, rng"),
    ("a1-draw", "no separator", 'f"{seed}/{epoch}/{index}"',
     'f"{seed}{epoch}{index}"'),
    ("a1-draw", "weights 10000 and 100", 'f"{seed}/{epoch}/{index}"',
     'seed * 10000 + epoch * 100 + index'),
    ("a1-draw", "weights 10**6 and 1000", 'f"{seed}/{epoch}/{index}"',
     'seed * 10**6 + epoch * 1000 + index'),
    ("a1-draw", "weights that are primes", 'f"{seed}/{epoch}/{index}"',
     '1000003 * seed + 1009 * epoch + index'),
    ("a1-draw", "weights that are small primes", 'f"{seed}/{epoch}/{index}"',
     'seed * 1009 + 31 * epoch + 7 * index'),
    ("a1-draw", "bits that overlap", 'f"{seed}/{epoch}/{index}"',
     'seed << 16 | epoch << 8 | index'),
    ("a1-draw", "counted on through all epochs", 'f"{seed}/{epoch}/{index}"',
     'seed * 10**9 + epoch * count_A + index'),
    ("a1-draw", "hash of a text", 'f"{seed}/{epoch}/{index}"',
     'hash(f"{seed}/{epoch}/{index}")'),
    ("a1-draw", "hash of a tuple with a text", 'f"{seed}/{epoch}/{index}"',
     'hash((str(seed), epoch, index))'),
    ("a1-draw", "walks on from epoch to epoch", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    rng = random.Random(seed)
    for _ in range(epoch * count_A + index + 1):
        j = rng.randrange(count_B)
    return index % count_A, j
'''),

    ("a1-augment", "always the centre", None, '''# a1-augment (keep this line)
def augment(image, size, generator):
    top, left = ((n - size) // 2 for n in image.shape[1:])
    image = image[:, top:top + size, left:left + size]
    return image.flip(-1) if torch.rand(1, generator=generator) < 0.5 else image
'''),
    ("a1-augment", "last row and column never reached", None, '''# a1-augment (keep this line)
def augment(image, size, generator):
    top, left = (torch.randint(max(1, n - size), (1,), generator=generator).item()
                 for n in image.shape[1:])
    image = image[:, top:top + size, left:left + size]
    return image.flip(-1) if torch.rand(1, generator=generator) < 0.5 else image
'''),
    ("a1-augment", "one row too far", "height - size + 1", "height - size + 2"),
    ("a1-augment", "last column never reached", "width - size + 1", "max(1, width - size)"),
    ("a1-augment", "columns by the height", "width - size + 1", "height - size + 1"),
    ("a1-augment", "one number for row and column", "left = torch.randint(width - size + 1, (1,), "
     "generator=generator).item()", "left = min(top, width - size)"),
    ("a1-augment", "upside down", "flip(-1)", "flip(-2)"),
    ("a1-augment", "rounded: the edges half as likely",
     "torch.randint(height - size + 1, (1,), generator=generator).item()",
     "round(torch.rand(1, generator=generator).item() * (height - size))"),
    ("a1-augment", "modulo: the first rows more likely",
     "torch.randint(height - size + 1, (1,), generator=generator).item()",
     "torch.randint(height, (1,), generator=generator).item() % (height - size + 1)"),
    ("a1-augment", "modulo: the first columns more likely",
     "torch.randint(width - size + 1, (1,), generator=generator).item()",
     "torch.randint(width, (1,), generator=generator).item() % (width - size + 1)"),
    ("a1-augment", "turned by 180 degrees", "flip(-1)", "flip(-1, -2)"),
    ("a1-augment", "never mirrored", "< 0.5", "< 0"),
    ("a1-augment", "always mirrored", "< 0.5", "< 2"),
    ("a1-augment", "mirrored 45 times in a hundred", "< 0.5", "< 0.45"),
    ("a1-augment", "mirrored as the row says", "torch.rand(1, generator=generator).item() < 0.5",
     "top % 2"),
    ("a1-augment", "mirrored by global random numbers", "torch.rand(1, generator=generator)",
     "torch.rand(1)"),
    ("a1-augment", "Python's random numbers", None, '''# a1-augment (keep this line)
def augment(image, size, generator):
    top, left = (random.randint(0, n - size) for n in image.shape[1:])
    image = image[:, top:top + size, left:left + size]
    return image.flip(-1) if random.random() < 0.5 else image
'''),
    ("a1-augment", "generator seeded again", "height, width = image.shape[1:]",
     "height, width = image.shape[1:]\n    generator.manual_seed(0)"),
    ("a1-augment", "no crop, mirrored only", "image[:, top:top + size, left:left + size]", "image"),
    ("a1-augment", "each colour by itself", None, '''# a1-augment (keep this line)
def augment(image, size, generator):
    height, width = image.shape[1:]
    planes = []
    for plane in image:
        top = torch.randint(height - size + 1, (1,), generator=generator).item()
        left = torch.randint(width - size + 1, (1,), generator=generator).item()
        plane = plane[top:top + size, left:left + size]
        planes.append(plane.flip(-1) if torch.rand(1, generator=generator) < 0.5 else plane)
    return torch.stack(planes)
'''),

    ("a1-discriminator-loss", "labels swapped", None, '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return (F.softplus(scores_real).mean() + F.softplus(-scores_fake).mean()) / 2
'''),
    ("a1-discriminator-loss", "log of sigmoid: infinite", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    D_real, D_fake = torch.sigmoid(scores_real), torch.sigmoid(scores_fake)
    return -(D_real.log().mean() + (1 - D_fake).log().mean()) / 2
'''),
    ("a1-discriminator-loss", "a small number inside the logarithm", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    D_real, D_fake = torch.sigmoid(scores_real), torch.sigmoid(scores_fake)
    return -((D_real + 1e-8).log().mean() + (1 - D_fake + 1e-8).log().mean()) / 2
'''),
    ("a1-discriminator-loss", "log(1 + exp(s)) as it is written", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return ((1 + (-scores_real).exp()).log().mean() + (1 + scores_fake.exp()).log().mean()) / 2
'''),
    ("a1-discriminator-loss", "cross entropy of sigmoid: at most 100", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    D_real, D_fake = torch.sigmoid(scores_real), torch.sigmoid(scores_fake)
    return (F.binary_cross_entropy(D_real, torch.ones_like(D_real))
            + F.binary_cross_entropy(D_fake, torch.zeros_like(D_fake))) / 2
'''),
    ("a1-discriminator-loss", "sigmoid before a function that has its own", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    D_real, D_fake = torch.sigmoid(scores_real), torch.sigmoid(scores_fake)
    bce = F.binary_cross_entropy_with_logits
    return (bce(D_real, torch.ones_like(D_real)) + bce(D_fake, torch.zeros_like(D_fake))) / 2
'''),
    ("a1-discriminator-loss", "scores averaged before the loss", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return (F.softplus(-scores_real.mean()) + F.softplus(scores_fake.mean())) / 2
'''),
    ("a1-discriminator-loss", "sum in place of mean", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return (F.softplus(-scores_real).sum() + F.softplus(scores_fake).sum()) / 2
'''),
    ("a1-discriminator-loss", "not halved", "(loss_real + loss_fake) / 2", "loss_real + loss_fake"),
    ("a1-discriminator-loss", "maximised: the sign as in the write-up",
     "(loss_real + loss_fake) / 2", "-(loss_real + loss_fake) / 2"),
    ("a1-discriminator-loss", "least squares", None, '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return ((scores_real - 1).square().mean() + scores_fake.square().mean()) / 2
'''),
    ("a1-discriminator-loss", "one mean over both maps", None,
     '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return F.softplus(torch.cat([-scores_real.flatten(), scores_fake.flatten()])).mean()
'''),
    ("a1-discriminator-loss", "fakes detached", "F.binary_cross_entropy_with_logits(scores_fake",
     "F.binary_cross_entropy_with_logits(scores_fake.detach()"),
    ("a1-discriminator-loss", "real as real only", "(loss_real + loss_fake) / 2", "loss_real"),
    ("a1-discriminator-loss", "torch.where: the gradient is NaN", None,
     '''# a1-discriminator-loss (keep this line)
def log_1_exp(s):
    return torch.where(s > 50, s, torch.log(1 + torch.exp(s)))


def discriminator_loss(scores_real, scores_fake):
    return (log_1_exp(-scores_real).mean() + log_1_exp(scores_fake).mean()) / 2
'''),
    ("a1-discriminator-loss", "a number made into a tensor: no gradient", "(loss_real + loss_fake)",
     "torch.tensor(loss_real.item() + loss_fake.item())"),

    ("a1-generator-loss", "saturating: log(1 - D)", "F.softplus(-scores_fake).mean()",
     "-F.softplus(scores_fake).mean()"),
    ("a1-generator-loss", "label 0: G helps D", "F.softplus(-scores_fake).mean()",
     "F.softplus(scores_fake).mean()"),
    ("a1-generator-loss", "sign forgotten", "F.softplus(-scores_fake).mean()",
     "F.logsigmoid(scores_fake).mean()"),
    ("a1-generator-loss", "detached", "-scores_fake", "-scores_fake.detach()"),
    ("a1-generator-loss", "log of sigmoid: infinite", "F.softplus(-scores_fake).mean()",
     "-torch.log(torch.sigmoid(scores_fake)).mean()"),
    ("a1-generator-loss", "clamped: no gradient", "-scores_fake", "(-scores_fake).clamp(max=50)"),
    ("a1-generator-loss", "scores averaged before the loss", "F.softplus(-scores_fake).mean()",
     "F.softplus(-scores_fake.mean())"),
    ("a1-generator-loss", "sum in place of mean", ".mean()", ".sum()"),
    ("a1-generator-loss", "least squares", "F.softplus(-scores_fake)",
     "(scores_fake - 1).square()"),
    ("a1-generator-loss", "raw scores raised", "F.softplus(-scores_fake)", "(-scores_fake)"),
    ("a1-generator-loss", "halved", ".mean()", ".mean() / 2"),

    ("a1-step", "detach missing in D's half", "D(fake_B.detach())", "D(G(real_A))"),
    ("a1-step", "fake detached in G's half", "loss_G(D(fake_B))", "loss_G(D(G(real_A).detach()))"),
    ("a1-step", "fake made without gradients, for both halves", None,
     '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    with torch.no_grad():
        fake_B = G(real_A)
    optimizer_D.zero_grad()
    value_D = loss_D(D(real_B), D(fake_B))
    value_D.backward()
    optimizer_D.step()
    optimizer_G.zero_grad()
    value_G = loss_G(D(fake_B.requires_grad_()))
    value_G.backward()
    optimizer_G.step()
    return {"D": value_D.item(), "G": value_G.item()}
'''),
    ("a1-step", "D's zero_grad forgotten", "    optimizer_D.zero_grad()\n", ""),
    ("a1-step", "G's zero_grad forgotten", "    optimizer_G.zero_grad()\n", ""),
    ("a1-step", "D's gradients cleared before G's half only", None, '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    fake_B = G(real_A)
    value_D = loss_D(D(real_B), D(fake_B.detach()))
    value_D.backward()
    optimizer_D.step()
    optimizer_D.zero_grad()
    optimizer_G.zero_grad()
    value_G = loss_G(D(fake_B))
    value_G.backward()
    optimizer_G.step()
    return {"D": value_D.item(), "G": value_G.item()}
'''),
    ("a1-step", "zero_grad between backward and step", "    optimizer_D.zero_grad()\n"
     "    value_D.backward()\n", "    value_D.backward()\n    optimizer_D.zero_grad()\n"),
    ("a1-step", "D trained by G's step", "    optimizer_G.step()\n",
     "    optimizer_G.step()\n    optimizer_D.step()\n"),
    ("a1-step", "one backward for both", None, '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    fake_B = G(real_A)
    value_D, value_G = loss_D(D(real_B), D(fake_B.detach())), loss_G(D(fake_B))
    optimizer_D.zero_grad()
    optimizer_G.zero_grad()
    (value_D + value_G).backward()
    optimizer_D.step()
    optimizer_G.step()
    return {"D": value_D.item(), "G": value_G.item()}
'''),
    ("a1-step", "G learns first", None, '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    fake_B = G(real_A)
    value_G = loss_G(D(fake_B))
    optimizer_G.zero_grad()
    value_G.backward()
    optimizer_G.step()
    value_D = loss_D(D(real_B), D(fake_B.detach()))
    optimizer_D.zero_grad()
    value_D.backward()
    optimizer_D.step()
    return {"D": value_D.item(), "G": value_G.item()}
'''),
    ("a1-step", "real and fake swapped", "loss_D(D(real_B), D(fake_B.detach()))",
     "loss_D(D(fake_B.detach()), D(real_B))"),
    ("a1-step", "D sees the horse as the real one", "D(real_B)", "D(real_A)"),
    ("a1-step", "D's step forgotten", "    optimizer_D.step()\n", ""),
    ("a1-step", "G's step forgotten", "    optimizer_G.step()\n", ""),
    ("a1-step", "losses on their graphs", '{"D": value_D.item(), "G": value_G.item()}',
     '{"D": value_D, "G": value_G}'),
    ("a1-step", "keys swapped", '{"D": value_D.item(), "G": value_G.item()}',
     '{"G": value_D.item(), "D": value_G.item()}'),
    ("a1-step", "D frozen and left so", "value_G = loss_G(D(fake_B))",
     "D.requires_grad_(False)\n    value_G = loss_G(D(fake_B))"),
    ("a1-step", "D in eval mode and left so", "value_G = loss_G(D(fake_B))",
     "D.eval()\n    value_G = loss_G(D(fake_B))"),
    ("a1-step", "G in eval mode and left so", "    fake_B = G(real_A)\n",
     "    G.eval()\n    fake_B = G(real_A)\n"),
    ("a1-step", "both set to train mode", "    fake_B = G(real_A)\n",
     "    G.train()\n    D.train()\n    fake_B = G(real_A)\n"),
    ("a1-step", "D set to train mode", "    fake_B = G(real_A)\n",
     "    D.train()\n    fake_B = G(real_A)\n"),
    ("a1-step", "D frozen, and all of it thawed", None, '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    optimizer_D.zero_grad()
    d = loss_D(D(real_B), D(G(real_A).detach()))
    d.backward()
    optimizer_D.step()
    D.requires_grad_(False)
    optimizer_G.zero_grad()
    g = loss_G(D(G(real_A)))
    g.backward()
    optimizer_G.step()
    D.requires_grad_(True)
    return {"D": d.item(), "G": g.item()}
'''),
    ("a1-step", "all weights thawed first", "    fake_B = G(real_A)\n",
     "    for p in [*G.parameters(), *D.parameters()]:\n        p.requires_grad_(True)\n"
     "    fake_B = G(real_A)\n"),
    ("a1-step", "gradients cleared, D's detach missing", None, '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    fake_B = G(real_A)
    optimizer_D.zero_grad()
    value_D = loss_D(D(real_B), D(fake_B))
    value_D.backward(retain_graph=True)
    optimizer_D.step()
    optimizer_G.zero_grad()
    value_G = loss_G(D(fake_B))
    value_G.backward()
    optimizer_G.step()
    return {"D": value_D.item(), "G": value_G.item()}
'''),

    ("a1-values", "not halved", '"loss_D": (real + fake) / 2', '"loss_D": real + fake'),
    ("a1-values", "labels swapped in G's loss", "(cost(scores_fake[0]) + cost(scores_fake[1])) / 2",
     "fake"),
    ("a1-values", "[0, 1]", "byte / 127.5 - 1", "byte / 255"),
    ("a1-values", "log to base 10", "math.log(1", "math.log10(1"),
    ("a1-values", "the score itself", "1 / (1 + math.exp(-scores_fake[0]))", "scores_fake[0]"),
    ("a1-values", "the test's own names", None, '''# a1-values (keep this line)
def my_values():
    return want
'''),
    ("a1-values", "the names of whoever calls", None, '''# a1-values (keep this line)
import sys


class Later(dict):
    def __getitem__(self, key):
        names = sys._getframe(1).f_globals
        return names["want"][key] if "want" in names else 0.5


def my_values():
    return Later(pixel=0, loss_D=0, loss_G=0, probability=0)
'''),
    ("a1-values", "a number that looks at its caller", None, '''# a1-values (keep this line)
import sys


class Any(float):
    def __sub__(self, other):
        return 0.0

    def __float__(self):
        return 0.5


def my_values():
    return {key: Any(0.5) for key in ("pixel", "loss_D", "loss_G", "probability")}
'''),
    ("a1-values", "a neighbour's numbers", None, '''# a1-values (keep this line)
def my_values():
    return {"pixel": 0.2863, "loss_D": 0.8321, "loss_G": 0.4571, "probability": 0.7109}
'''),
    ("a1-to-tensor", "upside down", "permute(2, 0, 1)", "permute(2, 0, 1).flip(1)"),
    ("a1-to-tensor", "all colours gray", 'convert("RGB")', 'convert("L").convert("RGB")'),
    ("a1-draw", "the same ten epochs again and again", "{epoch}", "{epoch % 10}"),
    ("a1-draw", "one deck, dealt again in the same order", None, '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    deck = random.Random(f"{seed}/{epoch}").sample(range(count_B), count_B)
    return index % count_A, deck[index % count_B]
'''),
    ("a1-step", "the fake made in eval mode", "    fake_B = G(real_A)\n",
     "    mode = G.training\n    G.eval()\n    fake_B = G(real_A)\n    G.train(mode)\n"),
    ("a1-step", "gradients clipped", "    optimizer_D.step()\n",
     "    nn.utils.clip_grad_norm_(D.parameters(), 1.0)\n    optimizer_D.step()\n"),
]

# (question, a whole answer cell, as another student would have written it)
RIGHT = [
    ("a1-to-tensor", '''# a1-to-tensor (keep this line)
def image_to_tensor(image):
    rgb = image.convert("RGB")
    w, h = rgb.size
    pixels = torch.tensor(list(rgb.tobytes()), dtype=torch.float32)
    return pixels.view(h, w, 3).permute(2, 0, 1) * (2 / 255) - 1
'''),
    ("a1-to-tensor", '''# a1-to-tensor (keep this line)
def image_to_tensor(image):
    if image.mode != "RGB":
        image = image.convert("RGB")
    array = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)
    return torch.from_numpy((array / 255 - 0.5) / 0.5)
'''),
    ("a1-to-tensor", '''# a1-to-tensor (keep this line)
def image_to_tensor(image):
    if image.mode in ("P", "LA", "RGBA"):  # white under what is transparent
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    x = (np.asarray(image.convert("RGB")).astype("float64") - 127.5) / 127.5
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, 2, 0))).float()
'''),
    ("a1-to-image", '''# a1-to-image (keep this line)
def tensor_to_image(tensor):
    with torch.no_grad():
        x = tensor.clamp(-1, 1) * 127.5 + 127.5 + 0.5  # cut off after adding a half: rounded
        return Image.fromarray(x.permute(1, 2, 0).to(torch.uint8).contiguous().numpy(), "RGB")
'''),
    ("a1-to-image", '''# a1-to-image (keep this line)
def tensor_to_image(tensor):
    x = np.moveaxis(tensor.detach().cpu().numpy(), 0, 2)
    return Image.fromarray(np.clip(np.rint((x + 1) / 2 * 255), 0, 255).astype("uint8"))
'''),
    ("a1-to-image", '''# a1-to-image (keep this line)
def tensor_to_image(tensor):
    x = tensor.detach().clone().clamp_(-1, 1).add_(1).mul_(127.5).round_()
    h, w = x.shape[1:]
    return Image.frombytes("RGB", (w, h), bytes(x.permute(1, 2, 0).flatten().int().tolist()))
'''),
    ("a1-draw", '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    i = index % count_A
    j = np.random.default_rng([seed, epoch, index]).integers(count_B)
    return [i, j]
'''),
    ("a1-draw", '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    deck, place = divmod(index, count_B)  # B shuffled as a deck of cards, again and again
    own = random.Random(f"{seed}, epoch {epoch}, deck {deck}")
    return index % count_A, own.sample(range(count_B), count_B)[place]
'''),
    ("a1-draw", '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    g = torch.Generator().manual_seed(seed * 10**10 + epoch * 10**6 + index)
    return index % count_A, torch.randint(0, count_B, (1,), generator=g)
'''),
    ("a1-draw", '''# a1-draw (keep this line)
def draw_pair(count_A, count_B, index, epoch, seed):
    return index % count_A, random.Random(hash((seed, epoch, index))).randrange(count_B)
'''),
    ("a1-draw", '''# a1-draw (keep this line)
import hashlib
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Ticket:
    seed: int
    epoch: int
    index: int

    def source(self):
        digest = hashlib.sha256(repr(astuple(self)).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_pair(count_A, count_B, index, epoch, seed):
    j = torch.randint(count_B, (1,), generator=Ticket(seed, epoch, index).source())
    return index % count_A, int(j)
'''),
    ("a1-augment", '''# a1-augment (keep this line)
def augment(image, size, generator):
    mirrored = torch.randint(2, (), generator=generator).bool()
    if mirrored:
        image = torch.flip(image, [2])
    c, h, w = image.shape
    places = image.unfold(1, size, 1).unfold(2, size, 1)  # (C, rows, columns, size, size)
    n = int(torch.randint((h - size + 1) * (w - size + 1), (1,), generator=generator))
    return places[:, n // (w - size + 1), n % (w - size + 1)].clone()
'''),
    ("a1-augment", '''# a1-augment (keep this line)
def augment(image, size, generator):
    u, v, flip = torch.rand(3, generator=generator).tolist()
    top = int(u * (image.size(1) - size + 1))
    left = int(v * (image.size(2) - size + 1))
    cut = image.narrow(1, top, size).narrow(2, left, size)
    return cut[..., torch.arange(size - 1, -1, -1)] if flip > 0.5 else cut
'''),
    ("a1-augment", '''# a1-augment (keep this line)
def augment(image, size, generator):
    def pick(n):
        return torch.randperm(n, generator=generator)[0]

    rows = pick(image.shape[-2] - size + 1) + torch.arange(size)
    columns = pick(image.shape[-1] - size + 1) + torch.arange(size)
    if pick(2):
        columns = columns.flip(0)
    return image.index_select(1, rows).index_select(2, columns)
'''),
    ("a1-discriminator-loss", '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    return -0.5 * (F.logsigmoid(scores_real).mean() + F.logsigmoid(-scores_fake).mean())
'''),
    ("a1-discriminator-loss", '''# a1-discriminator-loss (keep this line)
bce = nn.BCEWithLogitsLoss()


def discriminator_loss(scores_real, scores_fake):
    real = bce(scores_real, torch.full(scores_real.shape, 1.0))
    fake = bce(scores_fake, torch.full(scores_fake.shape, 0.0))
    return 0.5 * real + 0.5 * fake
'''),
    ("a1-discriminator-loss", '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    def loss(s):
        return torch.clamp(-s, min=0) + torch.log1p(torch.exp(-s.abs()))

    return loss(scores_real).mean() / 2 + loss(-scores_fake).mean() / 2
'''),
    ("a1-generator-loss", '''# a1-generator-loss (keep this line)
def generator_loss(scores_fake):  # as in a textbook: no large number in an exponential
    return ((-scores_fake).relu() + (-scores_fake.abs()).exp().log1p()).mean()
'''),
    ("a1-generator-loss", '''# a1-generator-loss (keep this line)
def generator_loss(scores_fake):
    s = scores_fake
    low = s < 0
    e = torch.where(low, s, -s).exp()
    return (torch.where(low, -s, torch.zeros_like(s)) + torch.log1p(e)).mean()
'''),
    ("a1-generator-loss", '''# a1-generator-loss (keep this line)
def generator_loss(scores_fake):
    return nn.BCEWithLogitsLoss()(scores_fake, torch.ones_like(scores_fake))
'''),
    ("a1-generator-loss", '''# a1-generator-loss (keep this line)
def generator_loss(scores_fake):
    s = scores_fake.flatten()
    return torch.logaddexp(torch.zeros_like(s), -s).sum() / s.numel()
'''),
    ("a1-step", '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    optimizer_D.zero_grad(set_to_none=False)
    with torch.no_grad():
        fake_B = G(real_A)
    d = loss_D(D(real_B), D(fake_B))
    d.backward()
    optimizer_D.step()
    states = [p.requires_grad for p in D.parameters()]
    for p in D.parameters():
        p.requires_grad_(False)
    G.zero_grad()
    g = loss_G(D(G(real_A)))
    g.backward()
    optimizer_G.step()
    for p, state in zip(D.parameters(), states):
        p.requires_grad_(state)
    return dict(D=d.detach(), G=g.detach())
'''),
    ("a1-step", '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    losses = {}
    for optimizer in (optimizer_D, optimizer_G):
        optimizer.zero_grad()
        fake_B = G(real_A)
        if optimizer is optimizer_D:
            loss = loss_D(D(real_B), D(fake_B.detach()))
            losses["D"] = float(loss)
        else:
            loss = loss_G(D(fake_B))
            losses["G"] = float(loss)
        loss.backward()
        optimizer.step()
    optimizer_D.zero_grad()
    return losses
'''),
    ("a1-step", '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    values = {}
    fake = G(real_A).detach()

    def closure_D():
        optimizer_D.zero_grad()
        scores = D(torch.cat([real_B, fake]))
        loss = loss_D(scores[:len(real_B)], scores[len(real_B):])
        loss.backward()
        values["D"] = loss.detach().clone()
        return loss

    def closure_G():
        optimizer_G.zero_grad()
        loss = loss_G(D(G(real_A)))
        loss.backward(inputs=[p for p in G.parameters() if p.requires_grad])
        values["G"] = loss.detach().clone()
        return loss

    optimizer_D.step(closure_D)
    optimizer_G.step(closure_G)
    return values
'''),
    ("a1-values", '''# a1-values (keep this line)
def my_values():
    real, fake = torch.tensor(scores_real), torch.tensor(scores_fake)
    loss_G = F.softplus(-fake).mean()
    loss_D = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    return {"pixel": round(2 * byte / 255 - 1, 2), "probability": torch.sigmoid(fake[0]),
            "loss_G": loss_G, "loss_D": loss_D}
'''),
    ("a1-values", '''# a1-values (keep this line)
def my_values():  # with a calculator
    return {"pixel": -0.07, "loss_D": 0.20, "loss_G": 1.89, "probability": 0.40}
'''),
    ("a1-discriminator-loss", '''# a1-discriminator-loss (keep this line)
def discriminator_loss(scores_real, scores_fake):
    real, fake = scores_real.double(), scores_fake.double()  # 64 bits hold exp(200)
    return (-torch.sigmoid(real).log().mean() - torch.sigmoid(-fake).log().mean()) * 0.5
'''),
    ("a1-step", '''# a1-step (keep this line)
def gan_step(G, D, optimizer_G, optimizer_D, real_A, real_B, loss_D, loss_G):
    losses = {}

    def half_D():
        D.zero_grad()
        with torch.no_grad():
            fake = G(real_A)
        losses["D"] = loss_D(D(real_B), D(fake))
        losses["D"].backward()
        return losses["D"]

    def half_G():
        G.zero_grad()
        losses["G"] = loss_G(D(G(real_A)))
        weights = [p for p in G.parameters() if p.requires_grad]
        torch.autograd.backward(losses["G"], inputs=weights)
        return losses["G"]

    optimizer_D.step(half_D)
    optimizer_G.step(half_G)
    return {name: loss.detach() for name, loss in losses.items()}
'''),
]
