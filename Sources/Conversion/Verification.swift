import Architectures
import ByteIO
import Executor
import FormatKit
import ModelIR

/// What a proof found: parameters, configuration, forward pass. Any part that fails, fails the whole.
public struct Verification: Sendable {
    public struct ParameterDifference: Hashable, Sendable {
        public var name: String
        public var message: String
    }

    /// Part 1: parameters by canonical name.
    public var equalCount = 0
    public var rewrittenCount = 0
    public var differences: [ParameterDifference] = []
    /// Declared changes of values, one line each.
    public var rewrites: [String] = []

    /// Part 2: nil where the configurations compute the same.
    public var configurationDifference: String?
    /// False for a plain set of tensors.
    public var hasConfiguration = true

    /// Part 3: layers and outputs in order of computation; empty where `forwardObstacle` says why.
    public var layers: [LayerComparison] = []
    /// Why there was no forward pass.
    public var forwardObstacle: String?
    /// Greatest difference of any output.
    public var outputDrift = 0.0

    /// The proof that a file carries, run again: one row a layer and output.
    public var sketches: [SketchComparison] = []
    /// What else doesn't hold: fingerprint, graph.
    public var proofProblems: [String] = []
    /// Why the file's proof could not be run.
    public var proofObstacle: String?
    /// One file was verified by its own proof, not two against each other.
    public var isProofOnly = false

    public struct SketchComparison: Hashable, Sendable {
        public var name: String
        public var isOutput: Bool
        public var agrees: Bool
        public var difference: Double
    }

    public struct LayerComparison: Sendable {
        public var name: String
        public var isOutput: Bool
        public var comparison: TensorComparison
    }

    /// The first layer, in order of computation, that diverges.
    public var firstDivergence: LayerComparison? { layers.first { !$0.comparison.passes } }

    public var passes: Bool {
        differences.isEmpty && configurationDifference == nil && firstDivergence == nil && proofProblems.isEmpty && proofObstacle == nil
            && sketches.allSatisfy(\.agrees)
    }
}

/// How strictly, and with which inputs.
public struct VerificationOptions: Sendable {
    public var tolerance: Tolerance
    /// nil: the reference, or where that would take minutes the fast backend.
    public var backend: Backend?
    public var threadCount: Int
    public var maxMemory: UInt64?
    /// Inputs instead of the probe's.
    public var inputs: [String: Tensor]?
    /// Greatest difference of an output that a rewrite may cause; nil is the tolerance.
    public var maxDrift: Double?

    public init(
        tolerance: Tolerance = Tolerance(), backend: Backend? = nil, threadCount: Int = ExecutionOptions.processorCount,
        maxMemory: UInt64? = nil, inputs: [String: Tensor]? = nil, maxDrift: Double? = nil
    ) {
        self.tolerance = tolerance
        self.backend = backend
        self.threadCount = threadCount
        self.maxMemory = maxMemory
        self.inputs = inputs
        self.maxDrift = maxDrift
    }

    var execution: ExecutionOptions {
        ExecutionOptions(backend: backend ?? .reference, threadCount: threadCount, maxMemory: maxMemory)
    }

    /// The backend asked for, else the reference, but for work that it would take minutes for.
    public func execution(of graph: Graph, inputs: [String: Tensor]) throws -> ExecutionOptions {
        var options = execution
        guard backend == nil else { return options }
        var planning = options
        planning.maxMemory = .max
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: planning)
        if plan.operations > Self.referenceOperationLimit || plan.bufferBytes > options.maxMemory { options.backend = .fast }
        return options
    }

    /// About ten seconds of the reference backend.
    static let referenceOperationLimit: UInt64 = 5_000_000_000
}

extension Verification {
    /// Holds two models against each other. Between generations, the second must equal the first with the declared rewrites applied.
    /// - Parameter rounding: the dtype that the first's floats were rounded to, as a further rewrite of every parameter.
    /// - Throws: errors of reading; what differs is in the result.
    public static func between(
        _ a: any Model, _ b: any Model, rounding: DType? = nil, options: VerificationOptions = VerificationOptions()
    ) throws -> Verification {
        var result = Verification()
        // What b ought to be: a itself, or a lowered to b's convention.
        var expected = a
        var rewrites: [Rewrite] = []
        var renames: [String: String] = [:]
        var subject = a
        if let lowered = try a.lowered(toConventionOf: b) {
            rewrites = lowered.rewrites
            renames = lowered.renames
            subject = lowered.subject ?? a
            expected = try ModelFile.lift(lowered.checkpoint) ?? a
        }
        result.rewrites = rewrites.map(\.description)
        if let rounding { result.rewrites.append("all floats rounded to \(rounding.rawValue), to nearest even") }
        try result.compareParameters(a, b, rewrites: rewrites, renames: renames, rounding: rounding)
        try result.compareConfiguration(expected, b)
        try result.compareForwardPass(subject, b, rounding: rounding, options: options, rewritten: rewrites.map(\.parameter))
        return result
    }

    private mutating func compareParameters(
        _ a: any Model, _ b: any Model, rewrites: [Rewrite], renames: [String: String], rounding: DType?
    ) throws {
        let changes = Dictionary(rewrites.map { ($0.parameter, $0) }, uniquingKeysWith: { first, _ in first })
        let theirs = Dictionary(b.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for parameter in a.parameters {
            guard let other = theirs[renames[parameter.name] ?? parameter.name] else {
                differences.append(ParameterDifference(name: parameter.name, message: "is missing from the second model"))
                continue
            }
            let change = changes[parameter.name]
            var wanted = try change?.apply(parameter.tensor) ?? parameter.tensor
            if let rounding, wanted.dtype.isFloat { wanted = wanted.rounded(to: rounding) }
            if let message = try difference(wanted, other) {
                differences.append(ParameterDifference(name: parameter.name, message: message))
            } else if change != nil || wanted.dtype != parameter.tensor.dtype {
                rewrittenCount += 1
            } else {
                equalCount += 1
            }
        }
        let mine = Set(a.parameters.map { renames[$0.name] ?? $0.name })
        for parameter in b.parameters where !mine.contains(parameter.name) {
            differences.append(ParameterDifference(name: parameter.name, message: "is missing from the first model"))
        }
    }

    private mutating func compareConfiguration(_ expected: any Model, _ b: any Model) throws {
        do {
            configurationDifference = try expected.graph().firstDifference(from: b.graph())?.description
        } catch let error as UnsupportedError {
            // Neither can be run: nothing to compare but the layers by name and class, whatever order the formats keep them in.
            let mine = expected.layers.map { "\($0.name) (\($0.kind))" }.sorted()
            let theirs = b.layers.map { "\($0.name) (\($0.kind))" }.sorted()
            if mine != theirs {
                configurationDifference = "layers \(mine.joined(separator: ", ")) against \(theirs.joined(separator: ", "))"
            }
            forwardObstacle = error.description
        }
    }

    private mutating func compareForwardPass(
        _ a: any Model, _ b: any Model, rounding: DType?, options: VerificationOptions, rewritten: [String]
    ) throws {
        guard forwardObstacle == nil, configurationDifference == nil, differences.allSatisfy({ !$0.message.contains("missing") }) else {
            return
        }
        let graphs = (try a.graph(), try b.graph())
        let inputs = try options.inputs ?? Probe(for: a, graph: graphs.0).inputs
        var parameters = parameterTensors(a)
        if let rounding {
            // What was written must compute what the rounded weights compute; how far that is from the original is the drift.
            parameters = parameters.mapValues { $0.dtype.isFloat ? $0.rounded(to: rounding) : $0 }
        }
        let execution = try options.execution(of: graphs.0, inputs: inputs)
        let first = try Executor.run(graphs.0, parameters: parameters, inputs: inputs, options: execution, capturing: .layerOutputs)
        // Another convention may call the inputs otherwise.
        var others = inputs
        for (mine, other) in zip(graphs.0.inputs, graphs.1.inputs) where mine.name != other.name && inputs[other.name] == nil {
            others[mine.name] = nil
            others[other.name] = inputs[mine.name]
        }
        let second = try Executor.run(
            graphs.1, parameters: parameterTensors(b), inputs: others, options: execution, capturing: .layerOutputs)
        let pairs = Self.pairs(first.captured, second.captured)
        let isRewritten = !rewritten.isEmpty
        var effects: [Double]?
        let outputs = zip(first.outputs, second.outputs).enumerated().map { (first.captured.count + $0, $1.0, $1.1, true) }
        for (position, x, y, isOutput) in pairs.map({ ($0, $1, $2, false) }) + outputs {
            var comparison = try compare(y.tensor, x.tensor, tolerance: options.tolerance)
            if isRewritten && options.maxDrift == nil && !comparison.passes && comparison.maximumRatio.isFinite {
                // What remains of a rewrite is the rounding of the parameters; only more than the model makes of that is a difference.
                let known =
                    try effects
                    ?? Self.effectOfRounding(
                        of: rewritten, in: graphs.0, parameters: parameters, inputs: inputs, options: execution, first: first)
                effects = known
                let allowed = min(2 * known[position], Self.largestRoundingEffect * comparison.statisticsB.rms)
                var tolerance = options.tolerance
                tolerance.absolute += allowed
                comparison = try compare(y.tensor, x.tensor, tolerance: tolerance)
                self.rewrites.append(
                    "\(x.name) differs by \(comparison.maximumDifference), "
                        + "where rounding the rewritten parameters accounts for \(allowed)")
            }
            if isOutput {
                outputDrift = max(outputDrift, comparison.maximumDifference)
                if isRewritten, let bound = options.maxDrift {
                    // The user has set the bound for what a rewrite may change.
                    comparison.failingCount = comparison.maximumDifference <= bound ? 0 : max(comparison.failingCount, 1)
                }
            } else if isRewritten && options.maxDrift != nil {
                comparison.failingCount = 0
            }
            layers.append(LayerComparison(name: x.name, isOutput: isOutput, comparison: comparison))
        }
        if rounding != nil {
            try addDrift(
                from: Executor.run(graphs.0, parameters: parameterTensors(a), inputs: inputs, options: execution), to: second,
                bound: options.maxDrift)
        }
    }

    /// Layers of both sides, with their position in the first: one after the other, or by name where one side has some that the other hasn't.
    private static func pairs(_ first: [NamedTensor], _ second: [NamedTensor]) -> [(Int, NamedTensor, NamedTensor)] {
        if first.count == second.count { return first.indices.map { ($0, first[$0], second[$0]) } }
        let byName = Dictionary(second.map { ($0.name, $0) }, uniquingKeysWith: { earlier, _ in earlier })
        return first.enumerated().compactMap { position, layer in
            byName[layer.name].flatMap { $0.tensor.shape == layer.tensor.shape ? (position, layer, $0) : nil }
        }
    }

    /// How far rounded weights move the outputs; more than `bound` fails the proof.
    private mutating func addDrift(from original: ExecutionResult, to rounded: ExecutionResult, bound: Double?) throws {
        for (x, y) in zip(original.outputs, rounded.outputs) {
            outputDrift = max(outputDrift, try compare(y.tensor, x.tensor).maximumDifference)
        }
        if let bound, !(outputDrift <= bound) {
            proofProblems.append("an output drifts by \(outputDrift), more than the \(bound) allowed")
        }
    }
}

/// Why two tensors are not bit-equal; nil if they are.
func difference(_ a: Tensor, _ b: Tensor) throws -> String? {
    guard a.dtype == b.dtype, a.shape == b.shape else {
        return "is \(a.dtype.rawValue)\(a.shape) in the first and \(b.dtype.rawValue)\(b.shape) in the second model"
    }
    let size = 1 << 20
    var offset = 0
    let buffers = (
        UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64),
        UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    )
    defer {
        buffers.0.deallocate()
        buffers.1.deallocate()
    }
    while offset < a.byteCount {
        let count = min(size, a.byteCount - offset)
        let (x, y) = (
            UnsafeMutableRawBufferPointer(rebasing: buffers.0[..<count]), UnsafeMutableRawBufferPointer(rebasing: buffers.1[..<count])
        )
        try a.storage.read(into: x, at: offset)
        try b.storage.read(into: y, at: offset)
        if !x.elementsEqual(y) {
            let position = zip(x, y).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
            return "differs from element \((offset + position) / a.dtype.size) on"
        }
        offset += count
    }
    return nil
}
