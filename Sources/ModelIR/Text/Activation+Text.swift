extension Activation {
    /// `relu`, `leaky_relu(negative_slope=0.3)`: the name, and the parameters that the case has.
    var text: String {
        switch self {
        case .linear: return "linear"
        case .relu: return "relu"
        case .relu6: return "relu6"
        case .rectifier(let maximum, let negativeSlope, let threshold):
            return call(
                "rectifier",
                (maximum.map { [("maximum", $0)] } ?? []) + [("negative_slope", negativeSlope), ("threshold", threshold)])
        case .leakyReLU(let negativeSlope): return call("leaky_relu", [("negative_slope", negativeSlope)])
        case .elu(let alpha): return call("elu", [("alpha", alpha)])
        case .celu(let alpha): return call("celu", [("alpha", alpha)])
        case .selu: return "selu"
        case .sigmoid: return "sigmoid"
        case .hardSigmoid(let slope, let offset): return call("hard_sigmoid", [("slope", slope), ("offset", offset)])
        case .tanh: return "tanh"
        case .hardTanh: return "hard_tanh"
        case .tanhShrink: return "tanh_shrink"
        case .softplus: return "softplus"
        case .softsign: return "softsign"
        case .exponential: return "exponential"
        case .silu: return "silu"
        case .hardSiLU: return "hard_silu"
        case .mish: return "mish"
        case .gelu: return "gelu"
        case .geluTanh: return "gelu_tanh"
        case .quickGELU: return "quick_gelu"
        case .clippedGELU(let minimum, let maximum): return call("clipped_gelu", [("minimum", minimum), ("maximum", maximum)])
        case .reluSquared: return "relu_squared"
        case .laplace(let mean, let deviation): return call("laplace", [("mean", mean), ("deviation", deviation)])
        case .sqrtSoftplus: return "sqrt_softplus"
        case .logSigmoid: return "log_sigmoid"
        case .squareplus(let b): return call("squareplus", [("b", b)])
        case .softShrink(let threshold): return call("soft_shrink", [("threshold", threshold)])
        case .hardShrink(let threshold): return call("hard_shrink", [("threshold", threshold)])
        case .threshold(let threshold, let value): return call("threshold", [("threshold", threshold), ("value", value)])
        case .sparsePlus: return "sparse_plus"
        case .sparseSigmoid: return "sparse_sigmoid"
        case .softmax: return "softmax"
        case .logSoftmax: return "log_softmax"
        case .sparsemax: return "sparsemax"
        case .glu: return "glu"
        }
    }

    private func call(_ name: String, _ parameters: [(String, Double)]) -> String {
        "\(name)(\(parameters.map { "\($0.0)=\(TextName.number($0.1))" }.joined(separator: ", ")))"
    }
}
