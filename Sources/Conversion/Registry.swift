import Architectures
import FormatKit
import HDF5Format
import IngotFormat
import KerasFormat
import PyTorchFormat
import SafetensorsFormat

/// All formats and architectures that Ingot knows: the two lists to add to.
public enum Registry {
    public static let formats: [any ModelFormat.Type] = [
        HDF5Format.self, IngotFormat.self, KerasFormat.self, PyTorchFormat.self, SafetensorsFormat.self,
    ]
    public static let architectures: [any Architecture.Type] = [
        KerasArchitecture.self, HuggingFaceArchitecture.self, PyTorchRNNArchitecture.self,
    ]

    public static func format(named name: String) -> (any ModelFormat.Type)? { formats.first { $0.name == name } }
}
