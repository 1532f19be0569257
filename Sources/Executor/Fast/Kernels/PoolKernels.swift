import CKernels
import ModelIR

/// Pools, channels together.
enum PoolKernels: KernelFamily {
    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .pool(let pool) = request.node.op else { return nil }
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        guard y.count > 0, x.count < Int(Int32.max) else { return nil }
        let table = WindowTable(WindowWalk(pool, input: x.shape, output: y.shape))
        let channels = x.shape[x.shape.count - 1]
        let reduction = Int32(pool.kind == .maximum ? CK_GREATEST : CK_SUM)
        return {
            let fold = ck_math_table().pointee.fold
            team.split(x.shape[0] * table.outputCount, cost: channels * table.windowCount) {
                for row in $0 {
                    let (image, position) = (row / table.outputCount, row % table.outputCount)
                    let (source, target) = (x.floats + image * table.inputCount * channels, y.floats + row * channels)
                    var count = 0
                    for element in 0..<table.windowCount {
                        let input = Int(table.positions[position * table.windowCount + element])
                        guard input >= 0 else { continue }
                        if count == 0 {
                            target.update(from: source + input * channels, count: channels)
                        } else {
                            fold?(reduction, channels, source + input * channels, target)
                        }
                        count += 1
                    }
                    if count == 0 { target.update(repeating: pool.kind == .maximum ? -.infinity : .nan, count: channels) }
                    if pool.kind == .average && count > 1 { for c in 0..<channels { target[c] /= Float(count) } }
                }
            }
        }
    }
}
