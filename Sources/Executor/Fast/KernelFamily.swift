import ModelIR

/// A step of a prepared program: its operands' places are fixed, so it takes no arguments.
typealias Kernel = () throws -> Void

/// What a kernel family is given to prepare a kernel for one node.
struct KernelRequest {
    let node: ConcreteNode
    let inputs: [BufferView]
    let outputs: [BufferView]
    let team: ThreadTeam
    let engine: MatmulEngine
    /// Work space of at least `scratchSize` bytes, shared by all kernels, which run one after another.
    let scratch: Allocation
    let options: ExecutionOptions
}

/// Kernels for one family of ops. A new or fused kernel is a new family at the front of `kernelFamilies`; the planner needn't know it.
protocol KernelFamily: SendableMetatype {
    /// Whether the family computes this composite as a whole; else it is replaced by its definition, whose ops then find their own kernels.
    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool

    /// Bytes of work space for a node.
    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType]) -> Int

    /// The same for kernels to which the options matter.
    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int

    /// A kernel for the node, or nil if the family has none for it.
    ///
    /// The closure must hold the views it reads (not bare pointers), for they keep constants in memory.
    static func kernel(_ request: KernelRequest) throws -> Kernel?
}

extension KernelFamily {
    static func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool { false }
    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType]) -> Int { 0 }
    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int { scratchSize(node, types) }
}

/// Asked in this order; the first that has a kernel gets the node.
private let kernelFamilies: [any KernelFamily.Type] = [
    MatmulKernels.self, AttentionKernels.self, LongformerKernels.self, LSHAttentionKernels.self, RecurrenceKernels.self,
    ActivationKernels.self, NormalizationKernels.self, ElementwiseKernels.self, MovementKernels.self, ConvolutionKernels.self,
    PoolKernels.self, ReductionKernels.self,
]

func keepsWhole(_ node: ConcreteNode, _ types: [ConcreteType]) -> Bool { kernelFamilies.contains { $0.keepsWhole(node, types) } }

func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int {
    kernelFamilies.reduce(0) { max($0, $1.scratchSize(node, types, options)) }
}

/// A kernel for any node: the reference kernel where no family has one, so that the fast backend covers every op from its first day.
func makeKernel(_ request: KernelRequest) throws -> Kernel {
    for family in kernelFamilies {
        if let kernel = try family.kernel(request) { return kernel }
    }
    return {
        let results = try Reference.apply(request.node, request.inputs.map { $0.referenceArray() }, request.outputs.map(\.type))
        for (view, result) in zip(request.outputs, results) { view.store(result) }
    }
}
