"""Two plain CNNs: that of the CAMRI paper, and a small one for two CPU cores."""

from torch import Tensor, nn


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)


class CamriCNN(nn.Module):
    """The CNN of the CAMRI paper's code for CIFAR-10: (N, C, H, W) -> (N, 512 * width).

    3x3 convolutions with ReLU and "same" padding: 64, 64, BN, 64, pool, dropout | 128, 128, BN, 128, pool, dropout |
    256, 256, BN, 256, 256, 256, BN | 512, 512, global average pooling, linear 512. There is no ReLU after the last
    layer, so that features may have any direction. Keras's initialisation (Glorot for convolutions, He for the
    embedding), as in the code of the authors.

    Args:
        in_chans: C.
        width: multiplies the channels.
        dropout: probability.
    """

    blocks = (
        (64, 64, "norm", 64, "pool"),
        (128, 128, "norm", 128, "pool"),
        (256, 256, "norm", 256, 256, 256, "norm"),
        (512, 512),
    )

    def __init__(self, in_chans: int = 3, width: float = 1.0, dropout: float = 0.25) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_chans
        for step in (step for block in self.blocks for step in block):
            if step == "norm":
                layers.append(nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))
            elif step == "pool":
                layers += [nn.MaxPool2d(2), nn.Dropout(dropout)]
            else:
                scaled = _scaled(int(step), width)
                layers += [nn.Conv2d(channels, scaled, 3, padding=1), nn.ReLU(inplace=True)]
                channels = scaled
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.embedding = nn.Linear(channels, channels)
        self.num_features = channels
        for module in self.modules():  # Keras's initialisation
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.kaiming_normal_(self.embedding.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.embedding(self.pool(self.layers(images)).flatten(1))


class SmallCNN(nn.Module):
    """Five 3x3 convolutions with batch norm and ReLU, 16 to 128 channels: (N, C, H, W) -> (N, 128 * width).

    Most of its arithmetic runs at a half and a quarter of the resolution, which makes it fast on two CPU cores.

    Args:
        in_chans: C.
        width: multiplies the channels.
    """

    def __init__(self, in_chans: int = 3, width: float = 1.0) -> None:
        super().__init__()
        block = _conv_norm_relu
        w16, w32, w64, w128 = (_scaled(c, width) for c in (16, 32, 64, 128))
        self.layers = nn.Sequential(
            block(in_chans, w16), block(w16, w32), nn.MaxPool2d(2),
            block(w32, w64), block(w64, w64), nn.MaxPool2d(2),
            block(w64, w128),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.num_features = w128

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.layers(images)).flatten(1)


def _conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


CNNS: dict[str, type[CamriCNN] | type[SmallCNN]] = {"camri_cnn": CamriCNN, "small_cnn": SmallCNN}
