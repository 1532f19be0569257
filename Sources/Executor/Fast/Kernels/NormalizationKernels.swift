import CKernels
import ModelIR

/// Layer normalisation over the last axes, and batch normalisation as one multiply-add.
enum NormalizationKernels: KernelFamily {
    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool {
        guard case .composite(let composite) = node.op else { return false }
        let rank = types[node.inputs[0]].shape.count
        switch composite {
        case .layerNorm(let norm): return norm.axes == Array((rank - norm.axes.count)..<rank)
        case .batchNorm: return true
        case .activation, .softmax, .recurrence, .attention, .longformerAttention, .lshAttention: return false
        }
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .composite(let composite) = request.node.op else { return nil }
        switch composite {
        case .layerNorm(let norm): return layerNorm(norm, request)
        case .batchNorm(let norm): return batchNorm(norm, request)
        case .activation, .softmax, .recurrence, .attention, .longformerAttention, .lshAttention: return nil
        }
    }

    private static func layerNorm(_ norm: LayerNorm, _ request: KernelRequest) -> Kernel {
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        let scale = norm.hasScale ? request.inputs[1] : nil
        let offset = norm.hasOffset ? request.inputs[request.inputs.count - 1] : nil
        let width = norm.axes.reduce(1) { $0 * x.shape[$1] }
        guard x.count > 0 else { return {} }
        return {
            let table = ck_math_table().pointee
            team.split(x.count / width, cost: 2 * width) {
                table.layer_norm(
                    $0.count, width, x.floats + $0.lowerBound * width, scale?.floats, offset?.floats, Float(norm.epsilon),
                    norm.usesRMS ? 1 : 0,
                    y.floats + $0.lowerBound * width)
            }
        }
    }

    /// x * factor + shift per channel; both follow from the parameters and are computed in f64 before each run, which costs little.
    private static func batchNorm(_ norm: BatchNorm, _ request: KernelRequest) -> Kernel {
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        let parameters = Array(request.inputs.dropFirst())
        let (outer, size, inner) = split(x.shape, at: norm.axis)
        let factors = BufferView(allocating: ConcreteType(dtype: .f32, shape: [2, size]), isConstant: false)
        guard x.count > 0 else { return {} }
        let update = {
            let (mean, variance) = (parameters[parameters.count - 2].floats, parameters[parameters.count - 1].floats)
            for i in 0..<size {
                let scale = norm.hasScale ? Double(parameters[0].floats[i]) : 1
                let factor = scale / (Double(variance[i]) + norm.epsilon).squareRoot()
                let offset = norm.hasOffset ? Double(parameters[norm.hasScale ? 1 : 0].floats[i]) : 0
                factors.floats[i] = Float(factor)
                factors.floats[size + i] = Float(offset - Double(mean[i]) * factor)
            }
        }
        return {
            update()
            let table = ck_math_table().pointee
            let (scale, offset) = (factors.floats, factors.floats + size)
            if inner == 1 {
                team.split(outer, cost: size) {
                    table.scale_rows($0.count, size, x.floats + $0.lowerBound * size, scale, offset, y.floats + $0.lowerBound * size)
                }
            } else {
                team.split(outer * size, cost: inner) {
                    for row in $0 {
                        let (source, target) = (x.floats + row * inner, y.floats + row * inner)
                        table.binary(Int32(CK_MULTIPLY), inner, source, 1, scale + row % size, 0, target)
                        table.binary(Int32(CK_ADD), inner, target, 1, offset + row % size, 0, target)
                    }
                }
            }
        }
    }
}
