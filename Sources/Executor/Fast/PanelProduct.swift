import CKernels
import ModelIR

/// Rows times constant weights by our own kernel, with all that is added to the product and its activation.
///
/// Where a processor has it, it does better than oneDNN's matmul with few rows, by up to a quarter with 16, since it asks for weights ahead; with
/// more it is as fast and saves passes over the result, but for very many long rows.
final class PanelProduct {
    private var task = ck_product()
    private let team: ThreadTeam
    private let run: ck_multiply
    /// What the task points to.
    private let held: [Allocation]
    private let source: UnsafeMutablePointer<Float>
    /// What the left side is copied to before each run, rounded or with its rows further apart; nil where it is used in place.
    private let copy: Copy?

    /// Where the right side isn't packed, parameters need be there only when it runs: the bias, too.
    private var biasSource: (from: UnsafeMutablePointer<Float>, to: UnsafeMutablePointer<Float>)?

    private struct Copy {
        let target: UnsafeMutableRawPointer
        let (columns, isHalf): (Int, Bool)
    }

    /// Whether there is such a kernel here, and it does better than oneDNN's: with very many long rows that is as fast, and needs no copy of the left
    /// side.
    static func isBest(_ shape: MatmulShape, _ precision: Precision) -> Bool {
        guard kernel(precision) != nil else { return false }
        if precision == .bf16 && ck_product_of_pairs().has_tiles != 0 { return true }
        return shape.m <= 192 || shape.m <= 512 && shape.k <= (precision == .f32 ? 768 : 1_536)
    }

    private static func kernel(_ precision: Precision) -> ck_multiply? {
        precision == .f32 ? ck_math_table().pointee.multiply : ck_product_of_pairs().run
    }

    /// Elements of a row of `k`; a pair of bf16 is one.
    static func inner(_ k: Int, _ precision: Precision) -> Int {
        guard precision == .bf16 else { return k }
        let (pairs, multiple) = ((k + 1) / 2, Int(ck_product_of_pairs().multiple))
        return (pairs + multiple - 1) / multiple * multiple
    }

    /// Elements from one row of the left side to the next, for rows of `k` elements; a pair of bf16 is one.
    ///
    /// Rows a multiple of 4 KiB apart would share one set of the first cache, which hasn't room for all rows of a tile.
    static func leftStep(_ k: Int, rows: Int, _ precision: Precision) -> Int {
        let step = inner(k, precision)
        return rows > 4 && step % 1_024 == 0 ? step + 16 : step
    }

    /// Bytes of a copy of the left side; 0 if it is used in place.
    static func copyByteCount(_ k: Int, rows: Int, _ precision: Precision) -> Int {
        let step = leftStep(k, rows: rows, precision)
        if precision == .f32 && step == k { return 0 }
        return (rows + (precision == .bf16 ? Int(ck_product_of_pairs().spare_rows) : 0)) * step * MemoryLayout<Float>.size
    }

    /// Bytes of work space of a product whose right side isn't packed.
    static func spaceByteCount(threads: Int) -> Int { threads * Int(ck_product_space) * MemoryLayout<Float>.size }

    /// - Parameters:
    ///   - leftStep: elements from one row of `a` to the next, where it isn't dense; then it isn't copied.
    ///   - copy: memory of `copyByteCount`, which runs of other products may overwrite.
    ///   - weights: as `pack` lays them out; nil for b where it lies, each column's numbers together.
    ///   - space: `spaceByteCount` bytes, where b isn't packed.
    ///   - bias: [columns]; where b is packed, it may go away.
    fileprivate init?(
        _ shape: MatmulShape, _ precision: Precision, a: UnsafeMutablePointer<Float>, leftStep: Int?, copy: UnsafeMutableRawPointer?,
        weights: Allocation?, b: UnsafeMutablePointer<Float>? = nil, space: UnsafeMutableRawPointer? = nil,
        bias: UnsafeMutablePointer<Float>?, residual: UnsafeMutablePointer<Float>?, activation: ck_activation?,
        result: UnsafeMutablePointer<Float>, team: ThreadTeam
    ) {
        guard let run = Self.kernel(precision) else { return nil }
        self.run = run
        source = a
        // Waking the team takes as long as some hundred thousand operations.
        self.team = shape.m * shape.k * shape.n < 1 << 16 ? ThreadTeam(count: 1) : team
        let isHalf = precision == .bf16
        (task.rows, task.inner, task.columns) = (shape.m, Self.inner(shape.k, precision), shape.n)
        task.left_step = leftStep ?? Self.leftStep(shape.k, rows: shape.m, precision)
        if leftStep == nil, let copy, Self.copyByteCount(shape.k, rows: shape.m, precision) > 0 {
            self.copy = Copy(target: copy, columns: shape.k, isHalf: isHalf)
            task.left = UnsafePointer(copy.assumingMemoryBound(to: Float.self))
        } else {
            guard !isHalf else { return nil }
            self.copy = nil
            task.left_step = leftStep ?? shape.k
            task.left = UnsafePointer(a)
        }
        task.weights = weights.map { UnsafePointer($0.pointer.assumingMemoryBound(to: Float.self)) }
        task.right = b.map { UnsafePointer($0) }
        task.right_step = shape.bStrides[2]
        task.space = space?.assumingMemoryBound(to: Float.self)
        let taken = Allocation(byteCount: 64 * self.team.count)
        task.taken = taken.pointer.assumingMemoryBound(to: UInt64.self)
        var held = [taken] + (weights.map { [$0] } ?? [])
        biasSource = nil
        if let bias {
            let width = Self.panelCount(shape.n) * Self.panel
            let padded = Allocation(byteCount: width * MemoryLayout<Float>.size)
            let floats = padded.pointer.bindMemory(to: Float.self, capacity: width)
            floats.update(repeating: 0, count: width)
            task.bias = UnsafePointer(floats)
            held.append(padded)
            if weights == nil {
                biasSource = (bias, floats)
            } else {
                floats.update(from: bias, count: shape.n)
            }
        }
        self.held = held
        task.residual = residual.map { UnsafePointer($0) }
        if let activation { task.activation = activation } else { task.activation.kind = Int32(CK_LINEAR) }
        task.result = result
        task.result_step = shape.cStrides[1]
    }

    func callAsFunction() {
        if let copy { fill(copy) }
        if let biasSource { biasSource.to.update(from: biasSource.from, count: task.columns) }
        task.taken.update(repeating: 0, count: 8 * team.count)
        withUnsafePointer(to: task) { task in
            team.run { thread, threads in run(task, thread, threads) }
        }
    }

    /// The same with its result at another place, from now on.
    func callAsFunction(result: UnsafeMutableRawPointer) {
        task.result = result.assumingMemoryBound(to: Float.self)
        self()
    }

    private func fill(_ copy: Copy) {
        let (columns, step) = (copy.columns, task.left_step)
        team.split(task.rows, cost: columns / 4) { rows in
            for row in rows {
                let from = source + row * columns
                if copy.isHalf {
                    let to = copy.target.assumingMemoryBound(to: UInt16.self) + 2 * row * step
                    ck_math_table().pointee.round_to_bf16(columns, from, to)
                    (to + columns).update(repeating: 0, count: 2 * task.inner - columns)
                } else {
                    (copy.target.assumingMemoryBound(to: Float.self) + row * step).update(from: from, count: columns)
                }
            }
        }
    }

    // MARK: - Packing

    private static let panel = Int(ck_product_panel)

    private static func panelCount(_ columns: Int) -> Int { (columns + panel - 1) / panel }

    static func packedByteCount(_ shape: MatmulShape, _ precision: Precision) -> Int {
        panelCount(shape.n) * inner(shape.k, precision) * panel * MemoryLayout<Float>.size
    }

    /// [inner, columns] by its strides as [panel][inner][32], zeros past the last column; in bf16 as [panel][pair][32][2], with zeros past
    /// the last row.
    static func pack(
        _ source: UnsafeMutablePointer<Float>, _ shape: MatmulShape, _ precision: Precision, to target: UnsafeMutableRawPointer,
        _ team: ThreadTeam
    ) {
        let (inner, columns, rowStep, columnStep) = (shape.k, shape.n, shape.bStrides[1], shape.bStrides[2])
        /// Row k of a panel in every `step`th place.
        func line(_ from: UnsafeMutablePointer<Float>, _ width: Int, to line: UnsafeMutablePointer<Float>, step: Int) {
            if columnStep == 1 && step == 1 {
                line.update(from: from, count: width)
            } else {
                for column in 0..<width { line[column * step] = from[column * columnStep] }
            }
            for column in width..<panel { line[column * step] = 0 }
        }
        team.split(panelCount(columns), cost: inner * panel) { panels in
            for index in panels {
                let first = index * panel
                let (width, from) = (min(panel, columns - first), source + first * columnStep)
                if precision == .f32 {
                    let packed = target.assumingMemoryBound(to: Float.self) + index * inner * panel
                    for k in 0..<inner { line(from + k * rowStep, width, to: packed + k * panel, step: 1) }
                    continue
                }
                let pairs = Self.inner(inner, precision)
                let packed = target.assumingMemoryBound(to: UInt16.self) + index * pairs * panel * 2
                withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * panel) { both in
                    guard let floats = both.baseAddress else { return }
                    for pair in 0..<pairs {
                        for (second, row) in [2 * pair, 2 * pair + 1].enumerated() {
                            // Of a row past the last no column is there.
                            let isThere = row < inner
                            line(isThere ? from + row * rowStep : from, isThere ? width : 0, to: floats + second, step: 2)
                        }
                        ck_math_table().pointee.round_to_bf16(2 * panel, floats, packed + pair * panel * 2)
                    }
                }
            }
        }
    }
}

extension MatmulEngine {
    /// A product with fixed operands, dense but for b's strides, and b packed; nil where oneDNN does better.
    ///
    /// - Parameters:
    ///   - leftStep: elements from one row of a to the next, where it isn't dense.
    ///   - copy: memory of `PanelProduct.copyByteCount` bytes.
    ///   - b: constant; its own memory isn't needed then.
    ///   - sharesWeights: b lies at its place until `forgetSources`, so another product with the same b may use the same copy.
    func panelProduct(
        _ shape: MatmulShape, _ precision: Precision = .f32, a: UnsafeMutablePointer<Float>, leftStep: Int? = nil,
        copy: UnsafeMutableRawPointer?, b: UnsafeMutablePointer<Float>,
        bias: UnsafeMutablePointer<Float>?, residual: UnsafeMutablePointer<Float>? = nil, activation: ck_activation? = nil,
        result: UnsafeMutablePointer<Float>, team: ThreadTeam, sharesWeights: Bool = false
    ) -> PanelProduct? {
        guard PanelProduct.isBest(shape, precision) else { return nil }
        let source = UnsafeMutableRawPointer(b)
        let known = packedPanels.first { $0.source == source && $0.strides == shape.bStrides && $0.precision == precision }
        let memory = known?.memory ?? place(byteCount: PanelProduct.packedByteCount(shape, precision))
        if known == nil {
            PanelProduct.pack(b, shape, precision, to: memory.pointer, team)
            if sharesWeights {
                packedPanels.append(PackedPanels(source: source, strides: shape.bStrides, precision: precision, memory: memory))
            }
        }
        return PanelProduct(
            shape, precision, a: a, leftStep: leftStep, copy: copy, weights: memory, bias: bias, residual: residual,
            activation: activation, result: result, team: team)
    }

    /// The same with b where it lies, each column's numbers together: each thread packs what it multiplies next. For a single pass; nil where there is
    /// no such kernel.
    ///
    /// - Parameter space: memory of `PanelProduct.spaceByteCount` bytes.
    func panelProduct(
        _ shape: MatmulShape, a: UnsafeMutablePointer<Float>, unpacked b: UnsafeMutablePointer<Float>, space: UnsafeMutableRawPointer,
        bias: UnsafeMutablePointer<Float>?, residual: UnsafeMutablePointer<Float>?, activation: ck_activation?,
        result: UnsafeMutablePointer<Float>, team: ThreadTeam
    ) -> PanelProduct? {
        guard shape.bStrides[1] == 1 else { return nil }
        return PanelProduct(
            shape, .f32, a: a, leftStep: shape.k, copy: nil, weights: nil, b: b, space: space, bias: bias, residual: residual,
            activation: activation, result: result, team: team)
    }
}
