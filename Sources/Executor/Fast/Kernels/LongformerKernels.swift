import CKernels
import ModelIR

/// Attention in a window with global tokens, by the kernel of `AttentionKernels`: time follows window x positions and global x positions,
/// and of scores only a tile is held.
enum LongformerKernels: KernelFamily {
    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool {
        guard case .composite(.longformerAttention) = node.op else { return false }
        return Sizes(node.inputs.map { types[$0] }).isCountable
    }

    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int {
        guard case .composite(.longformerAttention) = node.op else { return 0 }
        let sizes = Sizes(node.inputs.map { types[$0] })
        return sizes.isCountable ? sizes.scratchBytes(threads: options.threadCount) : 0
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .composite(.longformerAttention(let attention)) = request.node.op else { return nil }
        let sizes = Sizes(request.inputs.map(\.type))
        guard sizes.isCountable else { return nil }
        if request.outputs[0].count == 0 { return {} }
        let run = LongformerRun(attention, sizes, request)
        return { try run() }
    }

    /// The numbers that a node's kernel follows from, and the parts of its work space, in elements of 4 bytes.
    struct Sizes {
        let (batch, positions, heads, size): (Int, Int, Int, Int)
        /// Width of what the projections of global tokens are made from, where the node has taken them in; else 0.
        let inputWidth: Int
        /// Global tokens of a batch row that are few: their projections are then not made for every token.
        let few: Int

        /// Keys whose scores a thread holds at a time.
        static let tile = 128

        init(_ types: [ConcreteType]) {
            let shape = types[0].shape
            (batch, positions, heads, size) = (shape[0], shape[1], shape[2], shape[3])
            inputWidth = types.count > 8 ? types[8].shape[2] : 0
            few = types.count > 8 ? Self.few(size: size) : 0
        }

        /// A quarter of the size of a head: a few tokens cost as many times their heads as whole projections cost columns.
        static func few(size: Int) -> Int { max(1, size / 4) }

        /// Whether positions fit 32 bits.
        var isCountable: Bool { positions < 1 << 30 }
        /// A batch row's lists: tokens that attend to their windows, global ones, and all, the first two with their ranges.
        var lists: Int { 7 * positions }
        /// Of a thread: greatest scores and sums, [positions, 2].
        var state: Int { Self.padded(2 * positions) }
        var space: Int {
            let widths = [
                ck_attention_space(size, size, Self.tile, positions), ck_attention_space(inputWidth, inputWidth, Self.tile, positions),
            ]
            return Self.padded(max(widths[0], widths[1]) + 16)
        }
        /// For few global tokens, each head of which is a row of its own.
        var rows: Int { few * heads }
        /// Inputs and queries; rows as queries, and what they get; the tokens' results; greatest scores and sums; lists of rows and ranges.
        var fewParts: [Int] {
            few == 0
                ? [] : [few * inputWidth, few * heads * size, rows * inputWidth, rows * inputWidth, few * heads * size, 2 * rows, 3 * rows]
        }

        static func padded(_ count: Int) -> Int { (count + 15) & ~15 }

        func scratchBytes(threads: Int) -> Int {
            (Self.padded(lists * batch) + (state + space) * threads + fewParts.reduce(0) { $0 + Self.padded($1) }) * 4
        }
    }
}
