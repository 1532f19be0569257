/// The Keras that wrote a file; semantics follow it, never the file's extension.
public struct KerasVersion: Hashable, Sendable, CustomStringConvertible {
    /// 1, 2 or 3.
    public var generation: Int
    public var minor: Int
    /// As written: `2.2.4-tf`; empty where the file doesn't say.
    public var text: String

    /// A missing version means Keras 1, which wrote none.
    public init(_ text: String?) {
        self.text = text ?? ""
        let numbers = self.text.split(separator: ".").map { Int($0.prefix { $0.isNumber }) ?? 0 }
        generation = min(max(numbers.first ?? 1, 1), 3)
        minor = numbers.count > 1 ? numbers[1] : 0
    }

    /// A version that isn't known but for its generation.
    init(unknown generation: Int) {
        self.init(nil)
        self.generation = generation
    }

    public var description: String { text.isEmpty ? "no version" : text }

    /// Keras before 2.3, and the first tf.keras, computed LSTM and GRU gates with hard_sigmoid unless told otherwise.
    var gatesDefaultToHardSigmoid: Bool { generation == 1 || (generation == 2 && minor < 3 && !text.hasSuffix("-tf")) }

    /// `2.2.4-tf` was written by TensorFlow 1.13 to 1.15 (hard_sigmoid) and by 2.0 and 2.1 (sigmoid).
    var gateDefaultIsAmbiguous: Bool { text.hasPrefix("2.2.4-tf") || text.hasPrefix("2.1.6-tf") }
}
