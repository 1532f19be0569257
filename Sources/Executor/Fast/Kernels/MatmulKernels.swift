import ModelIR

/// Matmul by oneDNN. A constant right side is packed where that pays: for repeated runs, or few rows.
enum MatmulKernels: KernelFamily {
    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard request.node.op == .matmul else { return nil }
        let (a, b, result) = (request.inputs[0], request.inputs[1], request.outputs[0])
        let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
        guard result.count > 0 else { return {} }
        guard k > 0 else { return { result.floats.update(repeating: 0, count: result.count) } }

        let leading = Array(result.shape.dropLast(2))
        if b.count == k * n {
            // One matrix for all of a: its leading dimensions are rows too.
            let shape = MatmulShape(m: a.count / k, k: k, n: n)
            let packs = b.isConstant && (request.isRepeated || shape.m < 32)
            let multiply = try request.engine.matmul(shape, a: a.floats, b: b.floats, result: result.floats, packsWeights: packs)
            return packs
                ? { [a, result] in try withExtendedLifetime((a, result)) { try multiply() } }
                : { [a, b, result] in try withExtendedLifetime((a, b, result)) { try multiply() } }
        }
        let (aBatch, bBatch, batch) = (a.count / (m * k), b.count / (k * n), leading.reduce(1, *))
        if aBatch == batch && bBatch == batch {
            let multiply = try request.engine.matmul(
                MatmulShape(batch: batch, m: m, k: k, n: n), a: a.floats, b: b.floats, result: result.floats, packsWeights: false)
            return { [a, b, result] in try withExtendedLifetime((a, b, result)) { try multiply() } }
        }
        // Leading dimensions that repeat: a matrix at a time.
        let walk = StridedWalk(
            leading, contiguousStrides(leading), broadcastStrides(Array(a.shape.dropLast(2)), to: leading),
            broadcastStrides(Array(b.shape.dropLast(2)), to: leading))
        let multiply = try request.engine.matmul(
            MatmulShape(m: m, k: k, n: n), a: a.floats, b: b.floats, result: result.floats, packsWeights: false)
        return {
            try walk.forEachRow { at in
                for i in 0..<walk.rowLength {
                    let place = at &+ SIMD4(repeating: i) &* walk.rowStrides
                    try multiply(a: a.floats + place[1] * m * k, b: b.floats + place[2] * k * n, result: result.floats + place[0] * m * n)
                }
            }
        }
    }
}
