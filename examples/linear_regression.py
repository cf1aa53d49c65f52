"""The first workflow that a learner of PyTorch meets: a straight line, found again from points on it.

    python examples/linear_regression.py

Data, model, loss, optimizer, training and test loop, prediction, saving and loading.
"""

import rushlight as torch
from rushlight import nn

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

WEIGHT, BIAS = 0.7, 0.3  # what the model is to find


class LinearRegression(nn.Module):
    """y = weight * x + bias."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(in_features=1, out_features=1)

    def forward(self, x):
        return self.line(x)


def make_data():
    """50 points on the line: the first 40 to learn from, the last 10 to test with."""
    x = torch.arange(0, 1, 0.02).unsqueeze(dim=1)  # (50, 1)
    y = WEIGHT * x + BIAS
    return x[:40], y[:40], x[40:], y[40:]


def train(model, data, epochs, lr, log_every):
    """Trains on all points at once, and prints how it goes."""
    x_train, y_train, x_test, y_test = data
    loss_function = nn.L1Loss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(epochs):
        model.train()
        loss = loss_function(model(x_train), y_train)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        if epoch % log_every == 0 or epoch == epochs - 1:
            model.eval()
            with torch.inference_mode():
                test_loss = loss_function(model(x_test), y_test)
            print(f"epoch {epoch:3}: training loss {loss.item():.6f}, test loss {test_loss.item():.6f}")


def plot(data, predictions, path):
    """One PNG: the points, the true line and the predictions."""
    x_train, y_train, x_test, y_test = [tensor.cpu().numpy() for tensor in data]
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    axes.scatter(x_train, y_train, s=12, label="training data")
    axes.scatter(x_test, y_test, s=12, label="test data")
    axes.plot([0, 1], [BIAS, WEIGHT + BIAS], color="gray", linewidth=0.8, label="the true line")
    axes.plot(x_test, predictions.cpu().numpy(), "r--", label="predictions")
    axes.legend()
    axes.set(xlabel="x", ylabel="y")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Find a straight line again from points on it.")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder for the picture and the saved model")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    data = [tensor.to(options.device) for tensor in make_data()]
    model = LinearRegression().to(options.device)
    print(model)
    train(model, data, options.epochs, options.lr, log_every=20)

    model.eval()
    with torch.inference_mode():
        predictions = model(data[2])
    options.out.mkdir(parents=True, exist_ok=True)
    plot(data, predictions, options.out / "linear_regression.png")

    path = options.out / "linear_regression.pt"
    torch.save(model.state_dict(), path)
    loaded = LinearRegression().to(options.device)
    loaded.load_state_dict(torch.load(path, weights_only=True))
    loaded.eval()
    with torch.inference_mode():
        print("the loaded model predicts the same:", torch.equal(loaded(data[2]), predictions))

    weight, bias = loaded.line.weight.item(), loaded.line.bias.item()
    print(f"learned: weight {weight:.4f}, bias {bias:.4f} (true: {WEIGHT}, {BIAS})")


if __name__ == "__main__":
    main()
