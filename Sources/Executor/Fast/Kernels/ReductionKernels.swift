import CKernels
import ModelIR

/// Sum, mean, maximum and minimum of floats over neighbouring axes; the rest is left to the reference kernel.
enum ReductionKernels: KernelFamily {
    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .reduce(let reduction, let axes, _) = request.node.op else { return nil }
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        guard x.kind == .float, x.count > 0, let code = code(reduction) else { return nil }
        // Axes of size 1 are nobody's neighbours.
        let real = axes.filter { x.shape[$0] > 1 }.sorted()
        guard let first = real.first, let last = real.last else { return { y.pointer.copyMemory(from: x.pointer, byteCount: x.byteCount) } }
        guard (first...last).allSatisfy({ x.shape[$0] == 1 || real.contains($0) }) else { return nil }
        let outer = x.shape[..<first].reduce(1, *)
        let size = x.shape[first...last].reduce(1, *)
        let inner = x.shape[(last + 1)...].reduce(1, *)
        let divisor = reduction == .mean ? Float(size) : 1
        if inner == 1 {
            return {
                let table = ck_math_table().pointee
                team.split(outer, cost: size) {
                    for row in $0 { y.floats[row] = table.reduce(code, size, x.floats + row * size) / divisor }
                }
            }
        }
        return {
            let table = ck_math_table().pointee
            // Columns are independent: threads take pieces of a row where there is but one block.
            let columns = outer == 1 ? inner : outer
            team.split(columns, cost: x.count / columns, multiple: outer == 1 ? 16 : 1) { range in
                let (blocks, from, width) = outer == 1 ? (0..<1, range.lowerBound, range.count) : (range, 0, inner)
                for block in blocks {
                    let (source, target) = (x.floats + block * size * inner + from, y.floats + block * inner + from)
                    target.update(from: source, count: width)
                    for i in 1..<size { table.fold(code, width, source + i * inner, target) }
                    if divisor != 1 { for j in 0..<width { target[j] /= divisor } }
                }
            }
        }
    }

    private static func code(_ reduction: Reduction) -> Int32? {
        switch reduction {
        case .sum, .mean: Int32(CK_SUM)
        case .maximum: Int32(CK_GREATEST)
        case .minimum: Int32(CK_LEAST)
        case .product, .any, .all: nil
        }
    }
}
