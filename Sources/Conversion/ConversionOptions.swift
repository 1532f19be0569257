import Architectures
import Executor
import ModelIR

public struct ConversionOptions: Sendable {
    public enum Naming: String, CaseIterable, Sendable {
        /// What the target's users expect: Keras 2 in .h5, Keras 3 in .keras, PyTorch's in .safetensors, the source's own in .ingot.
        case standard = "default"
        /// The source's names, attributes and bytes.
        case preserve
        case pytorch, tensorflow
        case keras2, keras3
    }

    public enum OptimizerPolicy: String, CaseIterable, Sendable {
        case keep, drop
    }

    /// nil: guessed from the output's name.
    public var to: OutputKind?
    public var naming: Naming
    /// What floats are rounded to; nil leaves them.
    public var dtype: DType?
    /// nil: kept within a dialect and to .ingot, dropped across dialects.
    public var optimizer: OptimizerPolicy?
    public var level: Int?
    /// Asks formats that compress only on demand (HDF5) to do so.
    public var compresses = false
    /// Bytes of the largest weights file of a directory; what is larger is cut into several with an index.
    public var maxShardByteCount: UInt64
    public var threadCount: Int
    public var verifies: Bool
    public var replacesExisting: Bool
    public var isStrict: Bool
    public var configuration: String?
    /// What bare weights leave open, settled.
    public var choices: [String: String]
    public var verification: VerificationOptions

    public init(
        to: OutputKind? = nil, naming: Naming = .standard, dtype: DType? = nil, optimizer: OptimizerPolicy? = nil, level: Int? = nil,
        maxShardByteCount: UInt64 = 5_000_000_000, threadCount: Int = ExecutionOptions.processorCount, verifies: Bool = true,
        replacesExisting: Bool = false, isStrict: Bool = false, configuration: String? = nil, choices: [String: String] = [:],
        verification: VerificationOptions = VerificationOptions()
    ) {
        self.to = to
        self.naming = naming
        self.dtype = dtype
        self.optimizer = optimizer
        self.level = level
        self.maxShardByteCount = maxShardByteCount
        self.threadCount = threadCount
        self.verifies = verifies
        self.replacesExisting = replacesExisting
        self.isStrict = isStrict
        self.configuration = configuration
        self.choices = choices
        self.verification = verification
    }
}

/// What a conversion did.
public struct ConversionReport: Sendable {
    public var sourcePath: String
    public var outputPath: String
    public var outputKind: OutputKind
    public var sourceByteCount: Int
    public var outputByteCount: Int
    public var notes: [String]
    /// nil with `--no-verify`.
    public var verification: Verification?
    /// Of what was written; nil where nothing was verified, since it takes reading everything again.
    public var fingerprint: String?
}

/// A conversion whose proof failed: nothing was written (exit code 1).
public struct VerificationFailure: Error, Sendable {
    public let report: ConversionReport
}
