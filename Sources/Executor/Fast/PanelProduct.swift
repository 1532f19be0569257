import CKernels
import ModelIR

/// Rows times constant weights by our own kernel, with all that is added to the product and its activation.
///
/// Where a processor has it, it does better than oneDNN's matmul with few rows, by up to a quarter with 16, since it asks for weights ahead; with
/// more it is as fast and saves passes over the result, but for long rows.
final class PanelProduct {
    private var task = ck_product()
    private let team: ThreadTeam
    private let run: @convention(c) (UnsafePointer<ck_product>?, Int, Int) -> Void
    /// What the task points to.
    private let held: [Allocation]

    /// Whether there is such a kernel, and it does better than oneDNN's.
    static func isBest(_ shape: MatmulShape) -> Bool {
        ck_math_table().pointee.multiply != nil && (shape.m <= 96 || shape.m <= 512 && shape.k <= 768)
    }

    /// - Parameters:
    ///   - weights: as `pack` lays them out.
    ///   - bias: [columns], which may go away.
    fileprivate init?(
        _ shape: MatmulShape, a: UnsafeMutablePointer<Float>, weights: Allocation, bias: UnsafeMutablePointer<Float>?,
        residual: UnsafeMutablePointer<Float>?, activation: ck_activation?, result: UnsafeMutablePointer<Float>, team: ThreadTeam
    ) {
        guard let run = ck_math_table().pointee.multiply else { return nil }
        self.run = run
        // Waking the team takes as long as some hundred thousand operations.
        self.team = shape.m * shape.k * shape.n < 1 << 16 ? ThreadTeam(count: 1) : team
        (task.rows, task.inner, task.columns) = (shape.m, shape.k, shape.n)
        task.left = UnsafePointer(a)
        task.weights = UnsafePointer(weights.pointer.assumingMemoryBound(to: Float.self))
        var held = [weights]
        if let bias {
            let width = Self.panelCount(shape.n) * Self.panel
            let padded = Allocation(byteCount: width * MemoryLayout<Float>.size)
            let floats = padded.pointer.bindMemory(to: Float.self, capacity: width)
            floats.update(from: bias, count: shape.n)
            (floats + shape.n).update(repeating: 0, count: width - shape.n)
            task.bias = UnsafePointer(floats)
            held.append(padded)
        }
        self.held = held
        task.residual = residual.map { UnsafePointer($0) }
        if let activation { task.activation = activation } else { task.activation.kind = Int32(CK_LINEAR) }
        task.result = result
    }

    func callAsFunction() {
        withUnsafePointer(to: task) { task in
            team.run { thread, threads in run(task, thread, threads) }
        }
    }

    /// The same with its result at another place, from now on.
    func callAsFunction(result: UnsafeMutableRawPointer) {
        task.result = result.assumingMemoryBound(to: Float.self)
        self()
    }

    // MARK: - Packing

    private static let panel = Int(ck_product_panel)

    private static func panelCount(_ columns: Int) -> Int { (columns + panel - 1) / panel }

    static func packedByteCount(_ shape: MatmulShape) -> Int { panelCount(shape.n) * shape.k * panel * MemoryLayout<Float>.size }

    /// [inner, columns] by its strides as [panel][inner][32], zeros past the last column.
    static func pack(_ source: UnsafeMutablePointer<Float>, _ shape: MatmulShape, to target: UnsafeMutableRawPointer, _ team: ThreadTeam) {
        let (inner, columns, rowStep, columnStep) = (shape.k, shape.n, shape.bStrides[1], shape.bStrides[2])
        let floats = target.assumingMemoryBound(to: Float.self)
        team.split(panelCount(columns), cost: inner * panel) { panels in
            for index in panels {
                let (first, packed) = (index * panel, floats + index * inner * panel)
                let width = min(panel, columns - first)
                let from = source + first * columnStep
                for k in 0..<inner {
                    let (row, line) = (from + k * rowStep, packed + k * panel)
                    if columnStep == 1 {
                        line.update(from: row, count: width)
                    } else {
                        for column in 0..<width { line[column] = row[column * columnStep] }
                    }
                    if width < panel { (line + width).update(repeating: 0, count: panel - width) }
                }
            }
        }
    }
}

extension MatmulEngine {
    /// A product with fixed operands, dense but for b's strides, and b packed; nil where oneDNN does better.
    ///
    /// - Parameters:
    ///   - b: constant; its own memory isn't needed then.
    ///   - sharesWeights: b lies at its place until `forgetSources`, so another product with the same b may use the same copy.
    func panelProduct(
        _ shape: MatmulShape, a: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
        residual: UnsafeMutablePointer<Float>? = nil, activation: ck_activation? = nil, result: UnsafeMutablePointer<Float>,
        team: ThreadTeam,
        sharesWeights: Bool = false
    ) -> PanelProduct? {
        guard PanelProduct.isBest(shape) else { return nil }
        let source = UnsafeMutableRawPointer(b)
        let known = packedPanels.first { $0.source == source && $0.strides == shape.bStrides }
        let memory = known?.memory ?? place(byteCount: PanelProduct.packedByteCount(shape))
        if known == nil {
            PanelProduct.pack(b, shape, to: memory.pointer, team)
            if sharesWeights { packedPanels.append(PackedPanels(source: source, strides: shape.bStrides, memory: memory)) }
        }
        return PanelProduct(
            shape, a: a, weights: memory, bias: bias, residual: residual, activation: activation, result: result, team: team)
    }
}
