import CKernels
import ModelIR

/// Matmul by our own kernel or by oneDNN. A constant right side is packed for repeated runs: packing costs more than one pass gains.
enum MatmulKernels: KernelFamily {
    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int {
        guard node.op == .matmul else { return 0 }
        // The left side in bf16, or with its rows further apart.
        let (left, k) = (types[node.inputs[0]], types[node.inputs[0]].shape.last ?? 0)
        let copy = k > 0 ? PanelProduct.copyByteCount(k, rows: left.count / k, options.precision) : 0
        if options.precision == .bf16 { return max(left.count * 2, copy) }
        return options.isRepeated ? copy : node.fusion.transposesRight ? PanelProduct.spaceByteCount(threads: options.threadCount) : 0
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard request.node.op == .matmul else { return nil }
        let (a, b, result, fusion) = (request.inputs[0], request.inputs[1], request.outputs[0], request.node.fusion)
        let bias = fusion.hasBias ? request.inputs[2] : nil
        let residual = fusion.hasResidual ? request.inputs[request.inputs.count - 1] : nil
        let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], result.shape[result.shape.count - 1])
        guard result.count > 0 else { return {} }
        let finish = activate(fusion.activation, result, request.team)
        guard k > 0 else {
            return {
                for row in 0..<result.count / n {
                    for j in 0..<n { result.floats[row * n + j] = bias?.floats[j] ?? 0 }
                }
                finish()
            }
        }
        func shape(batch: Int = 1, m: Int) -> MatmulShape {
            var shape = MatmulShape(batch: batch, m: m, k: k, n: n)
            if fusion.transposesRight { shape.bStrides = [k * n, 1, k] }
            return shape
        }
        func multiply(_ shape: MatmulShape, packs: Bool = false) throws -> Matmul {
            try request.engine.matmul(
                shape, a: a.floats, b: b.floats, bias: bias?.floats, residual: residual?.floats, result: result.floats, packsWeights: packs,
                sharesWeights: packs)
        }

        let leading = Array(result.shape.dropLast(2))
        let (aBatch, bBatch, batch) = (a.count / (m * k), b.count / (k * n), leading.reduce(1, *))
        if bBatch == 1 && aBatch == batch {
            let added = [bias, residual].compactMap { $0 }
            // Written where it leaves the program, or to its place.
            let slot = result.owner as? OutputSlot
            func run(_ multiply: Matmul) throws {
                if let slot { try multiply(result: slot.renewed()) } else { try multiply() }
            }
            // One matrix for all of a: its leading dimensions are rows too. Packed, b's own memory isn't needed any more.
            let packs = b.isConstant && request.options.isRepeated
            let isHalf = b.isConstant && request.options.precision == .bf16
            if packs || isHalf,
                let product = request.engine.panelProduct(
                    shape(m: a.count / k), request.options.precision, a: a.floats, copy: request.scratch.pointer, b: b.floats,
                    bias: bias?.floats, residual: residual?.floats, activation: fusion.activation.flatMap { ck_activation($0) },
                    result: result.floats, team: request.team, sharesWeights: true)
            {
                let scratch = request.scratch
                return holding([a, result] + added) {
                    withExtendedLifetime(scratch) {
                        if let slot { product(result: slot.renewed()) } else { product() }
                    }
                }
            }
            if isHalf {
                let half = request.scratch.pointer.assumingMemoryBound(to: UInt16.self)
                let multiply = try request.engine.halfMatmul(
                    shape(m: a.count / k), a: half, b: b.floats, bias: bias?.floats, residual: residual?.floats,
                    result: result.floats)
                let (team, scratch) = (request.team, request.scratch)
                return holding([a, result] + added) {
                    let half = scratch.pointer.assumingMemoryBound(to: UInt16.self)
                    let round = ck_math_table().pointee.round_to_bf16
                    team.split(a.count, multiple: 16) { round?($0.count, a.floats + $0.lowerBound, half + $0.lowerBound) }
                    try run(multiply)
                    finish()
                }
            }
            if let pieces = rowsOfPieces(request.node, request.inputs.map(\.type), isConstant: b.isConstant, request.options) {
                return try inPieces(of: pieces, shape(m: a.count / k), request, finish)
            }
            if b.isConstant && !packs && fusion.transposesRight,
                let product = request.engine.panelProduct(
                    shape(m: a.count / k), a: a.floats, unpacked: b.floats, space: request.scratch.pointer, bias: bias?.floats,
                    residual: residual?.floats, activation: fusion.activation.flatMap { ck_activation($0) }, result: result.floats,
                    team: request.team)
            {
                let scratch = request.scratch
                return holding([a, b, result] + added) {
                    withExtendedLifetime(scratch) {
                        if let slot { product(result: slot.renewed()) } else { product() }
                    }
                    b.releaseMapping()
                }
            }
            let multiply = try multiply(shape(m: a.count / k), packs: packs)
            // In a single pass each weight is used once, or nearly: what is mapped needn't stay, so that memory doesn't grow with the model.
            let isDone = b.isConstant && !packs
            return holding([a, result] + (packs ? [] : [b]) + added) {
                try run(multiply)
                if isDone { b.releaseMapping() }
                finish()
            }
        }
        if aBatch == batch && bBatch == batch {
            let multiply = try multiply(shape(batch: batch, m: m))
            return holding([a, b, result] + (bias.map { [$0] } ?? [])) {
                try multiply()
                finish()
            }
        }
        // Leading dimensions that repeat: a matrix at a time.
        let walk = StridedWalk(
            leading, contiguousStrides(leading), broadcastStrides(Array(a.shape.dropLast(2)), to: leading),
            broadcastStrides(Array(b.shape.dropLast(2)), to: leading))
        let each = try multiply(shape(m: m))
        return holding(bias.map { [$0] } ?? []) {
            try walk.forEachRow { at in
                for i in 0..<walk.rowLength {
                    let place = at &+ SIMD4(repeating: i) &* walk.rowStrides
                    try each(a: a.floats + place[1] * m * k, b: b.floats + place[2] * k * n, result: result.floats + place[0] * m * n)
                }
            }
            finish()
        }
    }

    /// Bytes of a right side that a single pass has in memory at once; only the tables of large vocabularies, used as heads, have more.
    private static let pieceByteCount = 16 << 20

    /// How many rows of the right side [n, k], each a column of the product, make a piece; nil where it is used whole.
    static func rowsOfPieces(_ node: ConcreteNode, _ types: [ConcreteType], isConstant: Bool, _ options: ExecutionOptions) -> Int? {
        guard node.op == .matmul, node.fusion.transposesRight, !node.fusion.hasResidual, isConstant, !options.isRepeated,
            options.precision == .f32,
            types[1].shape.count == 2, let k = types[1].shape.last, k > 0, types[1].count * 4 > 2 * pieceByteCount
        else { return nil }
        return max(1, pieceByteCount / 4 / k)
    }

    /// The product piece by piece of the right side, each of which is there only while it is multiplied.
    private static func inPieces(
        of rows: Int, _ whole: MatmulShape, _ request: KernelRequest, _ finish: @escaping () -> Void
    ) throws -> Kernel {
        let (a, b, result) = (request.inputs[0], request.inputs[1], request.outputs[0])
        let bias = request.node.fusion.hasBias ? request.inputs[2] : nil
        let activation = request.node.fusion.activation.flatMap { ck_activation($0) }
        let pieces = try stride(from: 0, to: whole.n, by: rows).map { first -> Piece in
            var shape = whole
            shape.n = min(rows, whole.n - first)
            let (right, bias) = (b.floats + first * whole.k, bias.map { $0.floats + first })
            let elements = first * whole.k..<(first + shape.n) * whole.k
            if let product = request.engine.panelProduct(
                shape, a: a.floats, unpacked: right, space: request.scratch.pointer, bias: bias, residual: nil, activation: activation,
                result: result.floats + first, team: request.team)
            {
                return Piece(first: first, elements: elements, isFinished: true) { product(result: $0) }
            }
            let multiply = try request.engine.matmul(
                shape, a: a.floats, b: right, bias: bias, result: result.floats + first, packsWeights: false, sharesWeights: false)
            return Piece(first: first, elements: elements, isFinished: false) { try multiply(result: $0) }
        }
        let (isFinished, scratch) = (pieces.allSatisfy(\.isFinished), request.scratch)
        return holding([a, b, result] + (bias.map { [$0] } ?? [])) {
            try withExtendedLifetime(scratch) {
                let place = (result.owner as? OutputSlot)?.renewed() ?? result.pointer
                for piece in pieces {
                    try b.fill(piece.elements)
                    try piece.multiply(place + piece.first * MemoryLayout<Float>.size)
                    b.release(piece.elements)
                }
                if !isFinished { finish() }
            }
        }
    }

    /// Some columns of a product.
    private struct Piece {
        let first: Int
        /// Of the right side.
        let elements: Range<Int>
        /// Whether the activation is done, too.
        let isFinished: Bool
        /// Given the place of the first column.
        let multiply: (UnsafeMutableRawPointer) throws -> Void
    }

    /// A kernel that keeps memory alive to which oneDNN has bare pointers.
    private static func holding(_ views: [BufferView], _ kernel: @escaping Kernel) -> Kernel {
        { try withExtendedLifetime(views) { try kernel() } }
    }

    /// The activation, in place.
    private static func activate(_ activation: Activation?, _ result: BufferView, _ team: ThreadTeam) -> () -> Void {
        guard let activation, let function = ck_activation(activation) else { return {} }
        return {
            let activate = ck_math_table().pointee.activate
            team.split(result.count, cost: 4, multiple: 16) {
                activate?(function, $0.count, result.floats + $0.lowerBound, result.floats + $0.lowerBound)
            }
        }
    }
}
