import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.endpoint.LwM2mClientEndpointsProvider;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.BaseInstanceEnablerFactory;
import org.eclipse.leshan.client.resource.LwM2mInstanceEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.ObjectEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.SendResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * A device made of Eclipse Leshan's client. Arguments: endpoint name, URI, lifetime in seconds, files with definitions of
 * objects, "bootstrap" or "server", and for PSK identity and key in hexadecimal. It has those of the objects below whose
 * definitions it is given. It does what lines on its standard input say, and tells what happens on its standard output.
 */
public class Peer {

    public static void main(String[] args) throws Exception {
        String endpoint = args[0], uri = args[1];
        long lifetime = Long.parseLong(args[2]);
        boolean bootstrap = args[4].equals("bootstrap");
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        for (String file : args[3].split(File.pathSeparator)) {
            for (ObjectModel given : ObjectLoader.loadDdfFile(new FileInputStream(file), file)) {
                models.removeIf(m -> m.id == given.id);
                models.add(given);
            }
        }
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        byte[] identity = args.length > 6 ? args[5].getBytes() : null;
        byte[] key = args.length > 6 ? HexFormat.of().parseHex(args[6]) : null;
        if (bootstrap) {
            objects.setInstancesForObject(0, identity == null ? Security.noSecBootstrap(uri) : Security.pskBootstrap(uri, identity, key));
            objects.setClassForObject(1, Server.class);
        } else {
            objects.setInstancesForObject(0, identity == null ? Security.noSec(uri, 123) : Security.psk(uri, 123, identity, key));
            objects.setInstancesForObject(1, new Server(123, lifetime));
        }
        Device device = new Device();
        Radio radio = new Radio();
        Usages usages = new Usages();
        objects.setInstancesForObject(3, device);
        objects.setFactoryForObject(9, new BaseInstanceEnablerFactory() {
            @Override
            public LwM2mInstanceEnabler create() {
                return new Software(usages);
            }
        });
        for (ObjectModel model : models) {
            switch (model.id) {
            case 19:
                objects.setInstancesForObject(4, radio);
                objects.setInstancesForObject(19, new Shell(radio));
                break;
            case 35001:
                objects.setClassForObject(35001, SimpleInstanceEnabler.class);
                break;
            case 35002:
                objects.setClassForObject(35002, Usage.class);
                break;
            }
        }
        List<LwM2mObjectEnabler> enablers = objects.createAll();
        usages.begin(enablers);
        CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 65536);
        LwM2mClientEndpointsProvider transport = builder.setConfiguration(configuration).build();
        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setRetryWaitingTimeInMs(1000);
        LeshanClient client = new LeshanClientBuilder(endpoint).setObjects(enablers)
                .setEndpointsProviders(transport).setRegistrationEngineFactory(engine).setDataSenders(new ManualDataSender()).build();
        client.addObserver(new Narrator());
        client.start();
        obey(client, device);
    }

    static void obey(LeshanClient client, Device device) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
            case "update":
                client.triggerRegistrationUpdate();
                break;
            case "battery":
                device.battery(Long.parseLong(words[1]));
                break;
            case "send":
                LwM2mServer server = client.getRegisteredServers().values().iterator().next();
                SendResponse sent = client.getSendService().sendData(server, ContentFormat.fromName(words[1]), List.of("/3/0/9", "/3/0/0"), 5000);
                say("sent " + sent.getCode());
                break;
            case "stop":
                client.destroy(true);
                System.exit(0);
            }
        }
        System.exit(1);
    }

    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** Object 3. */
    public static class Device extends BaseInstanceEnabler {
        private long battery = 80;
        private String offset = "+00";

        void battery(long value) {
            battery = value;
            fireResourceChange(9);
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(0, 4, 9, 11, 14, 16);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 0:
                return ReadResponse.success(0, "Leshan");
            case 9:
                return ReadResponse.success(9, battery);
            case 11:
                return ReadResponse.success(11, Map.of(0, 0L), Type.INTEGER);
            case 14:
                return ReadResponse.success(14, offset);
            case 16:
                return ReadResponse.success(16, "U");
            }
            return super.read(server, resource);
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != 14) {
                return super.write(server, replace, resource, value);
            }
            offset = (String) value.getValue();
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            if (resource != 4) {
                return super.execute(server, resource, arguments);
            }
            say("rebooted");
            return ExecuteResponse.success();
        }
    }

    /** Object 4: the louder it sends, the better it is heard. */
    public static class Radio extends BaseInstanceEnabler {
        private static final Map<String, Long> STRENGTHS = Map.of("LOW", -58L, "MEDIUM", -50L, "HIGH", -40L);

        private String power = "HIGH";

        String power() {
            return power;
        }

        boolean power(String power) {
            if (!STRENGTHS.containsKey(power)) {
                return false;
            }
            this.power = power;
            say("power " + power);
            fireResourceChange(2);
            return true;
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(0, 1, 2, 4);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 0:
                return ReadResponse.success(0, 21L);
            case 1:
                return ReadResponse.success(1, Map.of(0, 21L), Type.INTEGER);
            case 2:
                return ReadResponse.success(2, STRENGTHS.get(power));
            case 4:
                return ReadResponse.success(4, Map.of(0, "127.0.0.1"), Type.STRING);
            }
            return super.read(server, resource);
        }
    }

    /** Object 19 as D3.3's shell: commands come into the first element of Data, answers are in the second. */
    public static class Shell extends BaseInstanceEnabler {
        private static final String COMMAND = "mlsysops knobs ";

        private final Radio radio;
        private byte[] command = {}, answer = {};

        public Shell() { // Leshan wants to be able to make one
            this(new Radio());
        }

        Shell(Radio radio) {
            this.radio = radio;
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(0);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            if (resource != 0) {
                return super.read(server, resource);
            }
            return ReadResponse.success(0, new TreeMap<>(Map.of(0, command, 1, answer)), Type.OPAQUE);
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != 0 || value.getInstances().get(0) == null) {
                return super.write(server, replace, resource, value);
            }
            return write(server, replace, 0, 0, value.getInstance(0));
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, int instance, LwM2mResourceInstance value) {
            if (resource != 0 || instance != 0) {
                return WriteResponse.methodNotAllowed();
            }
            command = (byte[]) value.getValue();
            answer = obey(new String(command)).getBytes();
            fireResourcesChange(getResourcePath(0));
            return WriteResponse.success();
        }

        private String obey(String line) {
            String[] words = line.startsWith(COMMAND) ? line.substring(COMMAND.length()).trim().split(" +") : new String[] { "" };
            switch (words[0]) {
            case "list":
                return "Knob ID | Value\n-----\nTX_PWR | " + radio.power() + "\n";
            case "options":
                return "Knob ID | Values | Default | Unit\n-----\nTX_PWR | LOW,MEDIUM,HIGH | HIGH | \n";
            case "get":
            case "set":
                if (words.length < 2 || !words[1].equals("TX_PWR")) {
                    return "error: there is no such knob\n";
                }
                if (words[0].equals("set") && (words.length < 3 || !radio.power(words[2]))) {
                    return "error: TX_PWR is LOW, MEDIUM or HIGH\n";
                }
                return "TX_PWR | " + radio.power() + "\n";
            }
            return "error: mlsysops knobs list, options, get or set\n";
        }
    }

    /** The instances of object 35002, which come and go with what runs. */
    static class Usages {
        private ObjectEnabler enabler;

        void begin(List<LwM2mObjectEnabler> enablers) {
            for (LwM2mObjectEnabler e : enablers) {
                if (e.getId() == 35002) {
                    enabler = (ObjectEnabler) e;
                    enabler.removeInstance(0); // the class's own
                }
            }
        }

        void show(int software, boolean active) {
            if (enabler == null || active == enabler.getAvailableInstanceIds().contains(software)) {
                return;
            }
            if (active) {
                Usage usage = new Usage(software);
                usage.setModel(enabler.getObjectModel());
                enabler.addInstance(software, usage);
            } else {
                enabler.removeInstance(software);
            }
        }
    }

    /** Object 35002. */
    public static class Usage extends BaseInstanceEnabler {
        private final long began = System.nanoTime();

        public Usage() {
        }

        Usage(int software) {
            super(software);
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(27210, 27211, 27212, 27213, 27214);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 27210:
                return ReadResponse.success(27210, new ObjectLink(9, getId()));
            case 27211:
                return ReadResponse.success(27211, 1.5);
            case 27212:
                return ReadResponse.success(27212, 65536L);
            case 27213:
                return ReadResponse.success(27213, (System.nanoTime() - began) / 1_000_000);
            case 27214:
                return ReadResponse.success(27214, "");
            }
            return super.read(server, resource);
        }
    }

    /** Object 9, as its state machine has it. */
    public static class Software extends BaseInstanceEnabler {
        private final Usages usages;
        private long state = 0, result = 0;
        private boolean active = false;
        private byte[] content = {};

        Software(Usages usages) {
            this.usages = usages;
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(0, 1, 2, 4, 6, 7, 9, 10, 11, 12);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            switch (resource) {
            case 0:
                return ReadResponse.success(0, "package");
            case 1:
                return ReadResponse.success(1, "1");
            case 7:
                return ReadResponse.success(7, state);
            case 9:
                return ReadResponse.success(9, result);
            case 12:
                return ReadResponse.success(12, active);
            }
            return super.read(server, resource);
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != 2) {
                return super.write(server, replace, resource, value);
            }
            content = (byte[]) value.getValue();
            int sum = 0;
            for (byte b : content) {
                sum = (sum * 31 + (b & 255)) & 0xffffff;
            }
            say("package " + content.length + " " + sum);
            become(3, 0, false);
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            switch (resource) {
            case 4:
                if (state != 3) {
                    return ExecuteResponse.methodNotAllowed();
                }
                become(4, 2, false);
                break;
            case 6:
                say("uninstalled " + (arguments.isEmpty() ? "without arguments" : arguments.serialize()));
                become(0, 0, false);
                break;
            case 10:
            case 11:
                if (state != 4) {
                    return ExecuteResponse.methodNotAllowed();
                }
                become(4, 2, resource == 10);
                break;
            default:
                return super.execute(server, resource, arguments);
            }
            return ExecuteResponse.success();
        }

        private void become(long state, long result, boolean active) {
            this.state = state;
            this.result = result;
            this.active = active;
            usages.show(getId(), active);
            fireResourcesChange(getResourcePaths(7, 9, 12));
        }

        @Override
        public void onDelete(LwM2mServer server) {
            usages.show(getId(), false);
            say("deleted " + getId());
        }
    }

    /** Says how the registration goes. */
    static class Narrator extends LwM2mClientObserverAdapter {
        @Override
        public void onBootstrapSuccess(LwM2mServer server, BootstrapRequest request) {
            say("bootstrapped");
        }

        @Override
        public void onBootstrapFailure(LwM2mServer server, BootstrapRequest request, ResponseCode code, String message, Exception cause) {
            say("bootstrap failed " + code + " " + message);
        }

        @Override
        public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
            say("registered " + id);
        }

        @Override
        public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code, String message, Exception cause) {
            say("registration failed " + code + " " + message);
        }

        @Override
        public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
            say("updated");
        }

        @Override
        public void onUpdateFailure(LwM2mServer server, UpdateRequest request, ResponseCode code, String message, Exception cause) {
            say("update failed " + code);
        }

        @Override
        public void onDeregistrationSuccess(LwM2mServer server, DeregisterRequest request) {
            say("deregistered");
        }

        @Override
        public void onUnexpectedError(Throwable cause) {
            cause.printStackTrace();
            say("error " + cause);
        }
    }
}
