import ModelIR

/// Where the fast backend keeps each value of a flattened graph.
struct FastLayout: Sendable {
    /// Composites without a kernel of their own are replaced by their definitions; the original values keep their positions.
    var graph: ConcreteGraph
    /// The value whose memory each value shares: itself, but for reshapes and casts that change nothing.
    var roots: [Int]
    /// Whether a value follows from parameters and constants alone, and so is computed once.
    var isConstant: [Bool]
    /// Roots that are outputs of the model only, made by a matmul, which writes each where it leaves the program.
    var handedOut: Set<Int> = []
    /// Bytes of these.
    var handedOutBytes = 0
    /// Position in the arena, in bytes, of each root that is neither constant, a parameter nor handed out.
    var offsets: [Int: Int]
    var arenaBytes = 0
    /// Bytes of the largest work space that a kernel asks for; all share it.
    var scratchBytes = 0
    /// Bytes of parameters and folded constants.
    var constantBytes = 0.0

    /// - Parameter kept: values that somebody may ask for, and that no fusion may swallow.
    init(_ program: ConcreteGraph, kept: Set<Int>, options: ExecutionOptions) {
        var graph = program.flattened()
        graph.fuseMatmuls(kept: kept)
        graph.fuseAttention(kept: kept)
        graph.fuseLongformer(kept: kept)
        var roots = Array(graph.types.indices)
        var isConstant = [Bool](repeating: false, count: graph.types.count)
        for parameter in graph.parameters { isConstant[parameter.value] = true }
        for node in graph.nodes {
            if let source = node.inputs.first, Self.isView(node, graph.types) { roots[node.outputs[0]] = roots[source] }
            if node.inputs.allSatisfy({ isConstant[$0] }) {
                for output in node.outputs { isConstant[output] = true }
            }
        }
        for index in graph.types.indices where isConstant[index] && roots[index] == index {
            constantBytes += Double(Self.bytes(graph.types[index]))
        }
        scratchBytes = graph.nodes.reduce(0) { max($0, scratchSize($1, graph.types, options)) }
        (self.graph, self.roots, self.isConstant, self.offsets) = (graph, roots, isConstant, [:])
        if !options.keepsLayerOutputs { findHandedOut() }
        placeValues()
    }

    static func bytes(_ type: ConcreteType) -> Int { (type.count * StorageKind(type.dtype).size + 63) & ~63 }

    /// Whether the node's output is its input's memory.
    private static func isView(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool {
        if case .reshape = node.op { return true }
        if case .cast(let dtype) = node.op { return dtype.isFloat && types[node.inputs[0]].dtype.isFloat }
        return node.op == .composite(.activation(.linear))
    }

    private mutating func findHandedOut() {
        var found = Set(graph.outputs.map { roots[$0] })
        var made = Set<Int>()
        for node in graph.nodes where roots[node.outputs[0]] == node.outputs[0] {
            found.subtract(node.inputs.map { roots[$0] })
            let result = graph.types[node.outputs[0]]
            if node.multipliesRows(graph.types), node.fusion.activation == nil, node.onlyForMany == nil, !isConstant[node.outputs[0]],
                StorageKind(result.dtype) == .float, Self.bytes(result) >= OutputPool.smallest
            {
                made.insert(node.outputs[0])
            }
        }
        handedOut = found.intersection(made)
        handedOutBytes = handedOut.reduce(0) { $0 + Self.bytes(graph.types[$1]) }
    }

    /// Gives each variable value a place in the arena for as long as it is needed: the smallest gap that fits, in order of computation.
    private mutating func placeValues() {
        var last = [Int](repeating: -1, count: roots.count)
        for (value, use) in graph.lastUses().enumerated() { last[roots[value]] = max(last[roots[value]], use) }
        var gaps = GapList()
        func isPlaced(_ value: Int) -> Bool { roots[value] == value && !isConstant[value] && !handedOut.contains(value) }
        for input in graph.inputs where isPlaced(input) { offsets[input] = gaps.take(Self.bytes(graph.types[input])) }
        for (position, node) in graph.nodes.enumerated() {
            for output in node.outputs where isPlaced(output) { offsets[output] = gaps.take(Self.bytes(graph.types[output])) }
            for value in Set((node.inputs + node.outputs).map { roots[$0] }) where last[value] <= position {
                guard isPlaced(value), let offset = offsets[value] else { continue }
                gaps.give(offset, Self.bytes(graph.types[value]))
            }
        }
        arenaBytes = gaps.end
    }
}

/// Free ranges of an arena that grows at its end.
private struct GapList {
    /// Sorted by start; never adjacent.
    private var gaps: [Range<Int>] = []
    private(set) var end = 0

    mutating func take(_ size: Int) -> Int {
        guard size > 0 else { return 0 }
        var best: Int?
        for (i, gap) in gaps.enumerated() where gap.count >= size && gap.count < best.map({ gaps[$0].count }) ?? .max { best = i }
        if let best {
            let start = gaps[best].lowerBound
            if gaps[best].count == size { gaps.remove(at: best) } else { gaps[best] = start + size..<gaps[best].upperBound }
            return start
        }
        // A gap at the end may be extended.
        if let gap = gaps.last, gap.upperBound == end {
            gaps.removeLast()
            end = gap.lowerBound + size
            return gap.lowerBound
        }
        end += size
        return end - size
    }

    mutating func give(_ start: Int, _ size: Int) {
        guard size > 0 else { return }
        var range = start..<start + size
        var i = gaps.firstIndex { $0.lowerBound > start } ?? gaps.count
        if i < gaps.count && gaps[i].lowerBound == range.upperBound { range = range.lowerBound..<gaps.remove(at: i).upperBound }
        if i > 0 && gaps[i - 1].upperBound == range.lowerBound {
            range = gaps[i - 1].lowerBound..<range.upperBound
            gaps.remove(at: i - 1)
            i -= 1
        }
        gaps.insert(range, at: i)
    }
}

extension ConcreteGraph {
    /// The graph with every composite that no kernel family keeps whole replaced by its definition.
    func flattened() -> ConcreteGraph {
        var result = self
        result.nodes = []
        for node in nodes { result.append(flattening: node, renamed: { $0 }) }
        return result
    }

    private mutating func append(flattening node: ConcreteNode, renamed: (Int) -> Int) {
        var node = node
        node.inputs = node.inputs.map(renamed)
        node.outputs = node.outputs.map(renamed)
        guard let inner = node.expansion, !keepsWhole(node, types) else {
            node.expansion = nil
            return nodes.append(node)
        }
        // The definition's inputs are the node's; every other value of it gets a new position, its results the node's own.
        var names: [Int: Int] = [:]
        for (value, outer) in zip(inner.inputs, node.inputs) { names[value] = outer }
        for (value, outer) in zip(inner.outputs, node.outputs) where names[value] == nil { names[value] = outer }
        for (value, type) in inner.types.enumerated() where names[value] == nil {
            names[value] = types.count
            types.append(type)
        }
        for innerNode in inner.nodes {
            var copy = innerNode
            copy.origin = node.origin
            append(flattening: copy, renamed: { names[$0] ?? $0 })
        }
        // A result that is an input, or another result: a copy by way of a reshape.
        for (value, outer) in zip(inner.outputs, node.outputs) where names[value] != outer {
            let shape = Shape(fixed: types[outer].shape)
            nodes.append(ConcreteNode(op: .reshape(shape), inputs: [names[value] ?? value], outputs: [outer], origin: node.origin))
        }
    }
}
