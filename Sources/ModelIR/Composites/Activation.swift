import Glibc

/// Every activation function of the supported frameworks. Two frameworks' functions under one name are two cases here.
public enum Activation: Hashable, Sendable {
    case linear
    case relu
    case relu6
    /// Keras' ReLU layer and `relu` with arguments: f(x) = min(max, x) for x >= threshold, else slope * (x - threshold).
    case rectifier(maximum: Double?, negativeSlope: Double, threshold: Double)
    case leakyReLU(negativeSlope: Double)
    case elu(alpha: Double)
    case celu(alpha: Double)
    case selu
    case sigmoid
    /// clip(slope * x + offset, 0, 1): Keras 1 and 2 have 0.2 and 0.5, Keras 3 and PyTorch 1/6 and 0.5.
    case hardSigmoid(slope: Double, offset: Double)
    case tanh
    /// clip(x, -1, 1)
    case hardTanh
    case tanhShrink
    case softplus
    case softsign
    case exponential
    /// x * sigmoid(x); also called swish.
    case silu
    /// x * relu6(x + 3) / 6; also called hard swish.
    case hardSiLU
    case mish
    /// x/2 (1 + erf(x / sqrt 2))
    case gelu
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); gelu_new of Hugging Face.
    case geluTanh
    /// x * sigmoid(1.702 x); also called the fast GELU.
    case quickGELU
    /// GELU held within a range.
    case clippedGELU(minimum: Double, maximum: Double)
    /// relu(x)^2
    case reluSquared
    /// (1 + erf((x - mean) / (deviation sqrt 2))) / 2 (Ma et al. 2022).
    case laplace(mean: Double, deviation: Double)
    /// sqrt(softplus(x))
    case sqrtSoftplus
    case logSigmoid
    /// (x + sqrt(x^2 + b)) / 2
    case squareplus(b: Double)
    case softShrink(threshold: Double)
    case hardShrink(threshold: Double)
    /// x where x > threshold, else value.
    case threshold(threshold: Double, value: Double)
    /// 0 up to -1, x from 1, (x + 1)^2 / 4 between.
    case sparsePlus
    /// 0 up to -1, 1 from 1, (x + 1) / 2 between.
    case sparseSigmoid
    /// Along the last axis.
    case softmax
    /// Along the last axis.
    case logSoftmax
    /// As Keras 3 computes it along the last axis (`keras/src/backend/tensorflow/nn.py`): max(x - tau, 0) with tau = (sum of the
    /// cumulative sums over the support - 1) / size of the support. Martins and Astudillo 2016 take the last cumulative sum alone; the
    /// two agree for a support of one.
    case sparsemax
    /// Gated linear unit: the last axis is halved, a * sigmoid(b).
    case glu
}

extension Activation {
    /// Whether each output element depends on its own input element alone.
    public var isElementwise: Bool {
        switch self {
        case .softmax, .logSoftmax, .sparsemax, .glu: false
        case .linear, .relu, .relu6, .rectifier, .leakyReLU, .elu, .celu, .selu, .sigmoid, .hardSigmoid, .tanh, .hardTanh, .tanhShrink,
            .softplus, .softsign, .exponential, .silu, .hardSiLU, .mish, .gelu, .geluTanh, .quickGELU, .clippedGELU, .reluSquared, .laplace,
            .sqrtSoftplus, .logSigmoid, .squareplus, .softShrink, .hardShrink, .threshold, .sparsePlus, .sparseSigmoid:
            true
        }
    }

    static let seluScale = 1.0507009873554804934193349852946
    static let seluAlpha = 1.6732632423543772848170429916717

    /// f(x) of an element-wise activation, in double precision; the specification of every kernel.
    public func evaluate(_ x: Double) -> Double {
        switch self {
        case .linear: return x
        case .relu: return x.isNaN ? x : max(x, 0)
        case .relu6: return x.isNaN ? x : min(max(x, 0), 6)
        case .rectifier(let maximum, let slope, let threshold):
            if x.isNaN { return x }
            let y = x >= threshold ? x : slope * (x - threshold)
            return maximum.map { min(y, $0) } ?? y
        case .leakyReLU(let slope): return x >= 0 || x.isNaN ? x : slope * x
        case .elu(let alpha): return x > 0 || x.isNaN ? x : alpha * expm1(x)
        case .celu(let alpha): return x > 0 || x.isNaN ? x : alpha * expm1(x / alpha)
        case .selu: return Self.seluScale * (x > 0 || x.isNaN ? x : Self.seluAlpha * expm1(x))
        case .sigmoid: return 1 / (1 + exp(-x))
        case .hardSigmoid(let slope, let offset): return x.isNaN ? x : min(max(slope * x + offset, 0), 1)
        case .tanh: return Glibc.tanh(x)
        case .hardTanh: return x.isNaN ? x : min(max(x, -1), 1)
        case .tanhShrink: return x - Glibc.tanh(x)
        case .softplus: return softplus(x)
        case .softsign: return x / (1 + abs(x))
        case .exponential: return exp(x)
        case .silu: return x / (1 + exp(-x))
        case .hardSiLU: return x.isNaN ? x : x * min(max(x + 3, 0), 6) / 6
        case .mish: return x * Glibc.tanh(softplus(x))
        case .gelu: return 0.5 * x * erfc(-x * 0.5.squareRoot())
        case .geluTanh: return 0.5 * x * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .quickGELU: return x / (1 + exp(-1.702 * x))
        case .clippedGELU(let low, let high): return x.isNaN ? x : min(max(Activation.gelu.evaluate(x), low), high)
        case .reluSquared: return x.isNaN ? x : max(x, 0) * max(x, 0)
        case .laplace(let mean, let deviation): return 0.5 * erfc((mean - x) / deviation * 0.5.squareRoot())
        case .sqrtSoftplus: return softplus(x).squareRoot()
        case .logSigmoid: return -softplus(-x)
        case .squareplus(let b): return (x + (x * x + b).squareRoot()) / 2
        case .softShrink(let t): return x.isNaN ? x : x > t ? x - t : x < -t ? x + t : 0
        case .hardShrink(let t): return x.isNaN || abs(x) > t ? x : 0
        case .threshold(let t, let value): return x.isNaN || x > t ? x : value
        case .sparsePlus: return x.isNaN ? x : x <= -1 ? 0 : x >= 1 ? x : (x + 1) * (x + 1) / 4
        case .sparseSigmoid: return x.isNaN ? x : x <= -1 ? 0 : x >= 1 ? 1 : (x + 1) / 2
        case .softmax, .logSoftmax, .sparsemax, .glu:
            preconditionFailure("\(text) works along an axis")
        }
    }

    /// The activation of one row along the last axis, in double precision. `glu` halves the row.
    public func evaluate(row: [Double]) -> [Double] {
        switch self {
        case .softmax, .logSoftmax:
            let top = row.reduce(-Double.infinity) { $1.isNaN ? $1 : max($0, $1) }
            let sum = row.reduce(0) { $0 + exp($1 - top) }
            return row.map { self == .softmax ? exp($0 - top) / sum : $0 - top - log(sum) }
        case .sparsemax:
            var sum = 0.0
            var sumOfSums = 0.0
            var count = 0.0
            for (i, value) in row.sorted(by: >).enumerated() {
                sum += value
                guard value - (sum - 1) / Double(i + 1) > 0 else { continue }
                sumOfSums += sum
                count += 1
            }
            let threshold = (sumOfSums - 1) / count
            return row.map { max($0 - threshold, 0) }
        case .glu:
            let half = row.count / 2
            return (0..<half).map { row[$0] * Activation.sigmoid.evaluate(row[half + $0]) }
        case .linear, .relu, .relu6, .rectifier, .leakyReLU, .elu, .celu, .selu, .sigmoid, .hardSigmoid, .tanh, .hardTanh, .tanhShrink,
            .softplus, .softsign, .exponential, .silu, .hardSiLU, .mish, .gelu, .geluTanh, .quickGELU, .clippedGELU, .reluSquared, .laplace,
            .sqrtSoftplus, .logSigmoid, .squareplus, .softShrink, .hardShrink, .threshold, .sparsePlus, .sparseSigmoid:
            return row.map { evaluate($0) }
        }
    }

    private func softplus(_ x: Double) -> Double { x.isNaN ? x : max(x, 0) + Glibc.log1p(exp(-abs(x))) }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        var types = try inferUnaryFloat(inputs, text, axis: isElementwise ? nil : -1)
        if self == .glu {
            let rank = types[0].shape.rank
            if let width = types[0].shape[-1].fixedValue, width % 2 != 0 {
                throw GraphError("glu can't halve the last axis of \(types[0].shape)")
            }
            types[0].shape.dims[rank - 1] = types[0].shape.dims[rank - 1].floorDivided(by: 2)
        }
        return types
    }

    var definition: CompositeDefinition {
        .loop { inputs throws(GraphError) in
            let x = inputs[0]
            if isElementwise { return [RealArray(shape: x.shape, values: x.values.map(evaluate))] }
            guard let width = x.shape.last, width > 0 else { return [x] }
            var result = RealArray(shape: x.shape, values: [])
            for start in stride(from: 0, to: x.values.count, by: width) {
                result.values += evaluate(row: Array(x.values[start..<start + width]))
            }
            if self == .glu { result.shape[x.shape.count - 1] = width / 2 }
            return [result]
        }
    }
}
