import CKernels
import ModelIR

/// Activations and softmax, by the vector kernels.
enum ActivationKernels: KernelFamily {
    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool {
        guard case .composite(.softmax(let axis)) = node.op else { return false }
        return axis == types[node.inputs[0]].shape.count - 1
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        let activation: Activation
        if case .composite(.softmax) = request.node.op {
            activation = .softmax
        } else if case .composite(.activation(let value)) = request.node.op {
            activation = value
        } else {
            return nil
        }
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        guard x.count > 0 else { return {} }
        if let function = ck_activation(activation) {
            return {
                let table = ck_math_table().pointee
                team.split(x.count, cost: 4, multiple: 16) {
                    table.activate(function, $0.count, x.floats + $0.lowerBound, y.floats + $0.lowerBound)
                }
            }
        }
        let width = x.shape.last ?? 1
        let rows = x.count / width
        if activation == .softmax || activation == .logSoftmax {
            return {
                let table = ck_math_table().pointee
                team.split(rows, cost: 4 * width) {
                    let start = $0.lowerBound * width
                    (activation == .softmax ? table.softmax : table.log_softmax)?($0.count, width, x.floats + start, y.floats + start)
                }
            }
        }
        if activation == .glu {
            let half = width / 2
            return {
                let table = ck_math_table().pointee
                let sigmoid = ck_activation(kind: Int32(CK_SIGMOID), a: 0, b: 0, c: 0)
                team.split(rows, cost: 4 * half) {
                    for row in $0 {
                        let (source, target) = (x.floats + row * width, y.floats + row * half)
                        table.activate(sigmoid, half, source + half, target)
                        table.binary(Int32(CK_MULTIPLY), half, source, 1, target, 1, target)
                    }
                }
            }
        }
        return nil
    }
}

extension ck_activation {
    /// The vector kernel's name for an element-wise activation; nil for those that work along an axis.
    init?(_ activation: Activation) {
        func make(_ kind: Int, _ a: Double = 0, _ b: Double = 0, _ c: Double = 0) -> ck_activation {
            ck_activation(kind: Int32(kind), a: Float(a), b: Float(b), c: Float(c))
        }
        switch activation {
        case .linear: self = make(CK_LINEAR)
        case .relu: self = make(CK_RELU)
        case .relu6: self = make(CK_RELU6)
        case .rectifier(let maximum, let slope, let threshold): self = make(CK_RECTIFIER, slope, threshold, maximum ?? .infinity)
        case .leakyReLU(let slope): self = make(CK_LEAKY_RELU, slope)
        case .elu(let alpha): self = make(CK_ELU, alpha)
        case .celu(let alpha): self = make(CK_CELU, alpha)
        case .selu: self = make(CK_SELU)
        case .sigmoid: self = make(CK_SIGMOID)
        case .hardSigmoid(let slope, let offset): self = make(CK_HARD_SIGMOID, slope, offset)
        case .tanh: self = make(CK_TANH)
        case .hardTanh: self = make(CK_HARD_TANH)
        case .tanhShrink: self = make(CK_TANH_SHRINK)
        case .softplus: self = make(CK_SOFTPLUS)
        case .softsign: self = make(CK_SOFTSIGN)
        case .exponential: self = make(CK_EXPONENTIAL)
        case .silu: self = make(CK_SILU)
        case .hardSiLU: self = make(CK_HARD_SILU)
        case .mish: self = make(CK_MISH)
        case .gelu: self = make(CK_GELU)
        case .geluTanh: self = make(CK_GELU_TANH)
        case .quickGELU: self = make(CK_QUICK_GELU)
        case .clippedGELU(let minimum, let maximum): self = make(CK_CLIPPED_GELU, minimum, maximum)
        case .reluSquared: self = make(CK_RELU_SQUARED)
        case .laplace(let mean, let deviation): self = make(CK_LAPLACE, mean, deviation)
        case .sqrtSoftplus: self = make(CK_SQRT_SOFTPLUS)
        case .logSigmoid: self = make(CK_LOG_SIGMOID)
        case .squareplus(let b): self = make(CK_SQUAREPLUS, b)
        case .softShrink(let threshold): self = make(CK_SOFT_SHRINK, threshold)
        case .hardShrink(let threshold): self = make(CK_HARD_SHRINK, threshold)
        case .threshold(let threshold, let value): self = make(CK_THRESHOLD, threshold, value)
        case .sparsePlus: self = make(CK_SPARSE_PLUS)
        case .sparseSigmoid: self = make(CK_SPARSE_SIGMOID)
        case .softmax, .logSoftmax, .sparsemax, .glu: return nil
        }
    }
}
