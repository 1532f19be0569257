import CKernels
import ModelIR

/// Attention by strands of its pattern: time and memory follow the attended pairs, never queries x keys.
enum AttentionKernels: KernelFamily {
    /// Keys whose scores a thread holds at a time: with the lanes of the widest kernel 16 KiB.
    private static let tile = 128

    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool {
        guard case .composite(.attention(let attention)) = node.op else { return false }
        let shape = Sizes(attention, node, types)
        guard let groups = shape.groups else { return false }
        // Weights are written once their sum is known, so one phase must see all keys.
        return !attention.returnsWeights || groups.allSatisfy { $0.program.phases.count == 1 }
    }

    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int {
        guard case .composite(.attention(let attention)) = node.op else { return 0 }
        return Sizes(attention, node, types).scratch(threads: options.threadCount).bytes
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .composite(.attention(let attention)) = request.node.op else { return nil }
        let types = request.inputs.map(\.type)
        var node = request.node
        node.inputs = Array(types.indices)
        let sizes = Sizes(attention, node, types)
        guard let groups = sizes.groups else { return nil }
        if request.outputs[0].count == 0 { return {} }
        let run = AttentionRun(attention, sizes, groups, request, tile: tile)
        return { run() }
    }

    /// The numbers that a node's kernel follows from.
    struct Sizes {
        var (batch, queries, keys): (Int, Int, Int)
        var (heads, keyHeads): (Int, Int)
        var (size, valueSize): (Int, Int)
        /// Where query, key and value lie.
        var views: [HeadView]
        var hasKeyMask: Bool
        var returnsWeights: Bool
        /// Heads with a program each; nil where a pattern has none.
        var groups: [(heads: Range<Int>, pattern: AttentionPattern, program: AttentionProgram)]?

        init(_ attention: Attention, _ node: ConcreteNode, _ types: [ConcreteType]) {
            views = (0..<3).map { i in
                if i < node.headViews.count, let view = node.headViews[i] { return view }
                let shape = types[node.inputs[i]].shape
                return HeadView(shape: shape, offset: 0, rowStep: shape[2] * shape[3])
            }
            let (query, key, value) = (views[0].shape, views[1].shape, views[2].shape)
            (batch, queries, heads, size) = (query[0], query[1], query[2], query[3])
            (keys, keyHeads, valueSize) = (key[1], key[2], value[3])
            (hasKeyMask, returnsWeights) = (attention.hasKeyMask, attention.returnsWeights)
            var groups: [(heads: Range<Int>, pattern: AttentionPattern, program: AttentionProgram)] = []
            var first = 0
            // Positions are 32-bit in strands.
            guard max(queries, keys) < 1 << 30 else { return }
            for group in attention.pattern.headGroups(heads: heads) {
                guard let program = AttentionProgram.program(group.pattern, queries: queries, keys: keys) else { return }
                groups.append((first..<first + group.count, group.pattern, program))
                first += group.count
            }
            self.groups = groups
        }

        var longest: Int { groups?.reduce(0) { max($0, $1.program.longest) } ?? 0 }

        /// Keys of the longest list of a strand.
        var longestList: Int { groups?.reduce(0) { $1.program.places.reduce($0) { max($0, $1.keyCount) } } ?? 0 }

        /// Weights are written at the end, so all scores are held till then.
        func tile(_ usual: Int) -> Int { returnsWeights ? max(longestList, 1) : usual }

        /// Parts of the work space, in 4-byte elements.
        func scratch(threads: Int) -> (state: Int, space: Int, masked: Int, bytes: Int) {
            let state = batch * heads * queries * 2
            let space = (ck_attention_space(size, valueSize, tile(AttentionKernels.tile), longest) + 31) & ~15
            // With a key mask: each row's shortened numbers, and while they are made the new place of each key.
            let masked = hasKeyMask ? (groups ?? []).reduce(0) { $0 + $1.program.numbers.count } : 0
            let total = ((state + 15) & ~15) + space * threads + masked * batch + (hasKeyMask ? (longestList + 1) * threads : 0)
            return (state, space, masked, total * 4)
        }
    }
}
