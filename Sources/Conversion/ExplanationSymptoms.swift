import Architectures
import ByteIO
import FormatKit
import JSON
import ModelIR

/// The known symptoms of a file in an ecosystem: what its loaders print, checked with Keras 3.15, tf_keras 2.18, transformers 5.23 and 4.49.
struct ExplanationSymptoms {
    private let file: ModelFile
    private let target: Explanation.Target
    private(set) var all: [Explanation.Symptom] = []

    init(_ file: ModelFile, target: Explanation.Target) {
        self.file = file
        self.target = target
        let isKeras = file.model?.architecture == KerasArchitecture.name || file.missingConfigurationHint != nil
        switch target {
        case .keras3, .tfKeras:
            guard isKeras else {
                if isTensorFlow {
                    add("No model config found in the file at ..", "weights of transformers' TensorFlow classes, not a Keras model")
                }
                if target == .keras3 && file.format.name != "hdf5" && file.format.name != "keras" {
                    add(
                        "File format not supported: filepath=\(splitPath(file.path).name). Keras 3 only supports V3 `.keras` files, legacy H5 format files",
                        "the file is of the format \(file.format.name)")
                }
                return
            }
            addContainer()
            if let configuration { addLayers(of: configuration) }
        case .pytorch: addPyTorch()
        case .transformers5: addTransformers5()
        case .transformers4TensorFlow: addTransformers4()
        }
    }

    private mutating func add(_ message: String, _ reason: String, places: [String] = []) {
        if let index = all.firstIndex(where: { $0.message == message && $0.reason == reason }) {
            all[index].places += places.filter { !all[index].places.contains($0) }
        } else {
            all.append(.init(message, reason, places: places))
        }
    }

    /// The configuration as the file has it.
    private var configuration: JSONValue? {
        let bytes =
            file.checkpoint.attributes["model_config"]?.text.map { Array($0.utf8) } ?? file.checkpoint.document("config.json")?.bytes
        return bytes.flatMap { try? JSONValue.parse($0) }
    }

    private var naming: String { file.model?.naming ?? "" }
    private var generation: Int { naming.hasPrefix("keras3") ? 3 : naming.hasPrefix("keras1") ? 1 : 2 }

    // MARK: Keras

    private mutating func addContainer() {
        let isArchive = file.format.name == "keras"
        if !isArchive && configuration == nil || naming.contains("weights") {
            add(
                "No model config found in the file at ..",
                "the file holds weights alone: the model must be built in code first")
        }
        if file.format.name == "ingot" { add("File format not supported", "the file is of Ingot's own format") }
        if isArchive && target == .keras3 && generation == 2 {
            add("Could not locate class 'Functional' .. 'module': 'tf_keras.src.engine.functional'", "the archive was written by Keras 2")
        }
        if isArchive && target == .tfKeras && generation == 3 {
            add(
                "Could not deserialize class 'Functional' because its parent module tf_keras.src.models.functional cannot be imported",
                "the archive was written by Keras 3")
        }
        let narrow = file.checkpoint.tensors.filter { $0.tensor.dtype == .bf16 || $0.tensor.dtype == .f8e4m3 || $0.tensor.dtype == .f8e5m2 }
        if !narrow.isEmpty && file.format.name == "hdf5" && !naming.hasSuffix("-weights") {
            add(
                "No cast function available.", "the .h5 holds bfloat16 without saying so, which Keras writes and can't read back",
                places: narrow.prefix(4).map(\.name))
        }
        let paired = file.model?.parameters.filter { $0.name.hasSuffix("/bias") && isPair($0) } ?? []
        if target == .keras3 && !paired.isEmpty && !naming.isEmpty && !hasCuDNNClasses {
            add(
                "Shape mismatch in layer .. Weight expects shape .. Received saved weight with shape ..",
                "the weights are in cuDNN's layout, which Keras 3 doesn't convert", places: paired.map(\.name))
        }
    }

    private var hasCuDNNClasses: Bool { configuration.map { $0.serialized(.compact).contains("\"CuDNN") } ?? false }

    /// A bias of twice its layer's width.
    private func isPair(_ parameter: Parameter) -> Bool {
        guard let kernel = file.model?.parameters.first(where: { $0.name == parameter.name.dropLast("bias".count) + "kernel" }) else {
            return false
        }
        return parameter.tensor.shape == [2 * (kernel.tensor.shape.last ?? 0)]
    }

    private mutating func addLayers(of document: JSONValue) {
        if target == .keras3 && document["config"]?.array != nil {
            add("TypeError: pop expected at most 1 argument, got 2", "an old Sequential: its configuration is a bare list of layers")
        }
        visit(document, depth: 0)
    }

    private mutating func visit(_ value: JSONValue, depth: Int) {
        guard depth < 128 else { return }
        switch value {
        case .array(let elements): for element in elements { visit(element, depth: depth + 1) }
        case .object(let object):
            if let className = object["class_name"]?.string, let config = object["config"]?.object {
                let name = object["name"]?.string ?? config["name"]?.string ?? className
                if target == .keras3 { addForKeras3(className, name, config) } else { addForKeras2(className, name, config) }
            }
            for member in object.members { visit(member.value, depth: depth + 1) }
        case .null, .bool, .number, .string: break
        }
    }

    private static let recurrent: Set<String> = ["LSTM", "GRU", "SimpleRNN", "RNN"]
    private static let keras1Classes: Set<String> = [
        "Convolution1D", "Convolution2D", "AtrousConvolution1D", "AtrousConvolution2D", "SeparableConvolution2D", "Merge",
        "TimeDistributedDense",
        "Highway", "MaxoutDense",
    ]
    private static let keras1Keys = [
        "output_dim", "nb_filter", "border_mode", "init", "inner_activation", "inner_init", "W_regularizer", "consume_less",
        "subsample_length",
        "pool_length", "filter_length",
    ]

    private mutating func addForKeras3(_ className: String, _ name: String, _ config: JSONObject) {
        if Self.recurrent.contains(className), let value = config["time_major"] {
            add(
                "Unrecognized keyword arguments passed to \(className): {'time_major': \(value.bool == true ? "True" : "False")}",
                "Keras 3 has no time_major", places: [name])
        }
        addUnknownClass(className, name)
        addChannelsFirst(className, name, config)
        if generation < 3 && (config["activation"]?.string == "hard_sigmoid" || config["recurrent_activation"]?.string == "hard_sigmoid") {
            add(
                "", "hard_sigmoid is clip(x/6 + 1/2) in Keras 3, clip(x/5 + 1/2) before: the file would open and compute something else",
                places: [name])
        }
        if generation < 3, ["LSTM", "GRU"].contains(className), config["recurrent_activation"] == nil, config["inner_activation"] == nil {
            add("", "recurrent_activation isn't stated; Keras 3 takes sigmoid, whatever the old version took", places: [name])
        }
        if className == "GRU", generation < 3, config["reset_after"] == nil {
            add("", "reset_after isn't stated; Keras 3 takes True, Keras before 2.3 meant False", places: [name])
        }
        if className == "BatchNormalization", config["axis"]?.array != nil {
            add(
                "<class 'keras.src.layers.normalization.batch_normalization.BatchNormalization'> could not be deserialized properly",
                "axis is a list, Keras 3 wants a number", places: [name])
        }
        if className.hasPrefix("SpatialDropout"), config["trainable"] != nil {
            add(
                "\(className).__init__() got an unexpected keyword argument 'trainable'", "Keras 3 doesn't take what Keras 2 wrote",
                places: [name])
        }
        if name.contains("/") {
            add("Argument `name` must be a string and cannot contain character `/`", "a name with a slash", places: [name])
        }
        if className == "ThresholdedReLU" { add("Unknown layer: 'ThresholdedReLU'", "Keras 3 has no such class", places: [name]) }
        addKeras1(className, name, config)
    }

    private mutating func addForKeras2(_ className: String, _ name: String, _ config: JSONObject) {
        if generation == 3 && className == "InputLayer" && config["batch_shape"] != nil {
            add("Unrecognized keyword arguments: ['batch_shape', 'optional']", "an input layer as Keras 3 writes it", places: [name])
        }
        if generation == 3 && (config["activation"]?.string == "hard_sigmoid" || config["recurrent_activation"]?.string == "hard_sigmoid") {
            add("", "hard_sigmoid is clip(x/5 + 1/2) in Keras 2, clip(x/6 + 1/2) in Keras 3", places: [name])
        }
        addUnknownClass(className, name)
        addChannelsFirst(className, name, config)
        addKeras1(className, name, config)
    }

    /// The file opens; TensorFlow alone fails, and on some processors only.
    private mutating func addChannelsFirst(_ className: String, _ name: String, _ config: JSONObject) {
        guard config["data_format"]?.string == "channels_first" || config["dim_ordering"]?.string == "th",
            let message = Self.channelsFirstMessages[className]?[target == .keras3 ? 0 : 1]
        else { return }
        add(
            message,
            "channels_first: on a CPU TensorFlow needs oneDNN for it, so not with TF_ENABLE_ONEDNN_OPTS=0, nor on other processors",
            places: [name])
    }

    /// What TensorFlow says of such a layer of Keras 3 and of tf_keras; nil where it computes it.
    private static let channelsFirstMessages: [String: [String?]] = {
        let convolution = "The Conv2D op currently only supports the NHWC tensor format on the CPU"
        let transposed = "Conv2DCustomBackpropInputOp only supports NHWC."
        return [
            "Conv1D": [convolution, convolution], "Conv2D": [convolution, convolution], "Convolution1D": [convolution, convolution],
            "Convolution2D": [convolution, convolution], "Conv1DTranspose": [transposed, transposed],
            "Conv2DTranspose": [transposed, nil],
            "SeparableConv2D": [nil, "Depthwise convolution on CPU is only supported for NHWC format"],
            "MaxPooling2D": [nil, "Default MaxPoolingOp only supports NHWC on device type CPU"],
            "AveragePooling2D": [nil, "Default AvgPoolingOp only supports NHWC on device type CPU"],
        ]
    }()

    private mutating func addUnknownClass(_ className: String, _ name: String) {
        if className == "Lambda" {
            add(
                "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda",
                "a Lambda layer is code in the file; Ingot never runs or writes it", places: [name])
        }
        if className.hasPrefix("CuDNN") {
            add(
                target == .keras3 ? "Unknown layer: '\(className)'" : "Could not find device for node: {{node CudnnRNNV3}}",
                "cuDNN's layers need a GPU, and Keras 3 has none; \(className.dropFirst(5)) computes the same", places: [name])
        }
        if target == .keras3, ["TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"].contains(className) {
            add("Unknown layer: '\(className)'", "an operation of TensorFlow as a layer", places: [name])
        }
    }

    private mutating func addKeras1(_ className: String, _ name: String, _ config: JSONObject) {
        if Self.keras1Classes.contains(className) { add("Unknown layer: '\(className)'", "a class of Keras 1", places: [name]) }
        let keys = className == "Embedding" ? ["init", "W_regularizer"] : Self.keras1Keys
        if generation == 1, let key = keys.first(where: { config[$0] != nil }) {
            add(
                target == .keras3
                    ? "Unrecognized keyword arguments passed to \(className): {'\(key)': ..}"
                    : "('Keyword argument not understood:', '\(key)')",
                "the configuration is in the words of Keras 1", places: [name])
        }
    }

    // MARK: PyTorch and transformers

    private mutating func addPyTorch() {
        switch file.format.name {
        case "hdf5": add("_pickle.UnpicklingError: invalid load key, '\\x89'.", "torch.load doesn't read HDF5")
        case "keras":
            add("PytorchStreamReader failed locating file data.pkl: file not found", "a .keras archive is no checkpoint of PyTorch")
        case "ingot": add("_pickle.UnpicklingError: invalid load key", "torch.load doesn't read Ingot's format")
        default: break
        }
        if file.model?.architecture == KerasArchitecture.name {
            add(
                "Missing key(s) in state_dict: \"weight_ih_l0\", \"weight_hh_l0\", \"bias_ih_l0\", \"bias_hh_l0\"",
                "Keras names and lays out its weights otherwise: kernels transposed, GRU gates z, r, h and not r, z, n, one bias for two")
        }
    }

    private mutating func addTransformers5() {
        if isTensorFlow {
            let removed = "TensorFlow support removed: transformers 5 has no TFBertModel, TFGPT2Model, .. and reads no tf_model.h5"
            add("Error no file named model.safetensors, or pytorch_model.bin, found in directory", removed)
            add("ImportError: cannot import name 'TFBertModel' from 'transformers'", removed)
        } else if file.format.name == "ingot" && !isKerasModel {
            add("Error no file named model.safetensors, or pytorch_model.bin, found in directory", "the file is of Ingot's own format")
        }
        addChangesOfTransformers5()
    }

    /// What transformers 5 reads otherwise than 4 did.
    private mutating func addChangesOfTransformers5() {
        guard !isTensorFlow, let configuration else { return }
        let places = file.checkpoint.tensors.map(\.name).filter { $0.hasSuffix("distance_embedding.weight") }
        if let kind = configuration["position_embedding_type"]?.string, kind != "absolute", !places.isEmpty {
            add(
                "distance_embedding.weight | UNEXPECTED",
                "transformers 5 ignores position_embedding_type \"\(kind)\" and computes something else",
                places: places)
        }
        guard (configuration["transformers_version"]?.string ?? "4").hasPrefix("4") else { return }
        switch (configuration["model_type"]?.string, configuration["tie_word_embeddings"]?.bool) {
        case ("mt5", true): add("", "transformers 4 scales the outputs of mT5 where tie_word_embeddings is true, transformers 5 never")
        case ("umt5", false):
            add("", "transformers 4 doesn't scale the outputs of UMT5 where tie_word_embeddings is false, transformers 5 always")
        default: break
        }
    }

    private mutating func addTransformers4() {
        guard !isKerasModel, !isTensorFlow else { return }
        if file.format.name == "safetensors" {
            add(
                "Loading a PyTorch model in TensorFlow, requires both PyTorch and TensorFlow to be installed",
                "the weights are PyTorch's; TensorFlow's classes read them only where PyTorch is installed too")
        } else {
            add(
                "Error no file named tf_model.h5 or model.safetensors found in directory .. but there is a file for PyTorch weights. Use `from_pt=True`",
                "the weights are PyTorch's; TensorFlow's classes read them only with PyTorch installed and from_pt=True")
        }
    }

    /// Weights as TensorFlow's classes of transformers write them.
    private var isTensorFlow: Bool {
        naming.hasSuffix("-tensorflow")
            || (file.format.name == "hdf5" && file.checkpoint.attributes.strings("layer_names") != nil
                && configuration?["model_type"] != nil)
    }

    private var isKerasModel: Bool { file.model?.architecture == KerasArchitecture.name }
}
