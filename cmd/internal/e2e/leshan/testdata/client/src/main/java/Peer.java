import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

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
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
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
 * A device made of Eclipse Leshan's client. Arguments: endpoint name, URI, lifetime in seconds, OMA's definition of object
 * 9, "bootstrap" or "server", and for PSK identity and key in hexadecimal. It does what lines on its standard input say,
 * and tells what happens on its standard output.
 */
public class Peer {

    public static void main(String[] args) throws Exception {
        String endpoint = args[0], uri = args[1];
        long lifetime = Long.parseLong(args[2]);
        boolean bootstrap = args[4].equals("bootstrap");
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.removeIf(m -> m.id == 9);
        models.addAll(ObjectLoader.loadDdfFile(new FileInputStream(args[3]), "9.xml"));
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
        objects.setInstancesForObject(3, device);
        objects.setFactoryForObject(9, new BaseInstanceEnablerFactory() {
            @Override
            public LwM2mInstanceEnabler create() {
                return new Software();
            }
        });
        CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 65536);
        LwM2mClientEndpointsProvider transport = builder.setConfiguration(configuration).build();
        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setRetryWaitingTimeInMs(1000);
        LeshanClient client = new LeshanClientBuilder(endpoint).setObjects(objects.createAll())
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
                return ReadResponse.success(11, java.util.Map.of(0, 0L), org.eclipse.leshan.core.model.ResourceModel.Type.INTEGER);
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

    /** Object 9, as its state machine has it. */
    public static class Software extends BaseInstanceEnabler {
        private long state = 0, result = 0;
        private boolean active = false;
        private byte[] content = {};

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
            fireResourcesChange(getResourcePaths(7, 9, 12));
        }

        @Override
        public void onDelete(LwM2mServer server) {
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
