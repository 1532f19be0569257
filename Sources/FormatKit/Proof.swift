import ModelIR

/// A forward pass kept in a file: probe inputs, and a sketch of every layer and output from the reference backend.
///
/// Whoever runs the model on the inputs and finds the same sketches, within tolerance, has the same function. It shows integrity, not origin.
public struct Proof: Hashable, Sendable {
    public struct Input: Hashable, Sendable {
        public var name: String
        public var dtype: DType
        public var shape: [Int]
        /// Row-major; bool as 0 and 1.
        public var values: [Double]

        public init(name: String, dtype: DType, shape: [Int], values: [Double]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.values = values
        }
    }

    /// What is kept of one value of the forward pass.
    public struct Sketch: Hashable, Sendable {
        /// Name of the layer, or of the output.
        public var name: String
        public var isOutput: Bool
        public var shape: [Int]
        /// Root of the mean square of all elements.
        public var rms: Double
        /// Greatest absolute value.
        public var maximum: Double
        /// Sums of all elements under seeded signs of +1 and -1, divided by the root of the number of elements.
        public var projections: [Double]
        /// Elements at seeded positions.
        public var samples: [Double]

        public init(
            name: String, isOutput: Bool, shape: [Int], rms: Double, maximum: Double, projections: [Double], samples: [Double]
        ) {
            self.name = name
            self.isOutput = isOutput
            self.shape = shape
            self.rms = rms
            self.maximum = maximum
            self.projections = projections
            self.samples = samples
        }
    }

    /// Of the probe, the signs and the positions.
    public var seed: UInt64
    public var absoluteTolerance: Double
    public var relativeTolerance: Double
    public var inputs: [Input]
    public var sketches: [Sketch]

    public init(seed: UInt64, absoluteTolerance: Double, relativeTolerance: Double, inputs: [Input], sketches: [Sketch]) {
        self.seed = seed
        self.absoluteTolerance = absoluteTolerance
        self.relativeTolerance = relativeTolerance
        self.inputs = inputs
        self.sketches = sketches
    }
}
